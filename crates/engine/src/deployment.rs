//! LocalPlan: the Deployment as one worker shares it among its connections.
//!
//! A value: what a Deployment is and how it is made is `tls`'s, since it is a Plan with what TLS needs for
//! it.

use std::rc::Rc;
use std::sync::Arc;

use crate::tls::Deployment;

/// A Plan as one worker shares it: counted without locked instructions.
pub(crate) type LocalPlan = Rc<Arc<Deployment>>;
