//! Rendezvous (highest random weight) hashing with weights: removing one of N servers moves about 1/N of the keys.
