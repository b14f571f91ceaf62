//! Answers of our own (redirects, static answers, refusals), as the client gets them.
//!
//! Must never decide why a request is refused.

use headworks_core::http::answers::{self, Occasion};
use headworks_core::http::pages::Page;
use headworks_core::http::status::Always;
use headworks_core::message::{Message, Method};
use headworks_core::table::AnswerIndex;

use crate::clock;
use crate::supervisor::http::HttpSupervisor;
use crate::tools::Tools;

impl HttpSupervisor {
    /// Writes the answer that a table or a listener has for such requests.
    pub(super) fn write_answer(&mut self, tools: &mut Tools, at: usize, index: AnswerIndex, bytes: &[u8]) {
        let stream = &self.streams[at];
        let client = &self.clients[stream.client];
        let (exchange, around) = (&stream.work.exchange, stream.around(tools));
        tools.out.clear();
        let occasion = Occasion {
            facts: &exchange.facts(&client.facts(), &around),
            message: Some(Message::new(&tools.head, bytes)),
            always: Always {
                date: tools.date.at(clock::wall()),
                hsts: client.http().rules.hsts(),
                close: !exchange.keeps_client(),
            },
        };
        stream.plan.answers[index as usize].write(&mut tools.out, occasion);
    }

    /// Writes the answer that a rule has made.
    pub(super) fn write_found(&mut self, tools: &mut Tools, at: usize) {
        let stream = &self.streams[at];
        let exchange = &stream.work.exchange;
        let always = Always {
            date: tools.date.at(clock::wall()),
            hsts: stream.owner().http.rules.hsts(),
            close: !exchange.keeps_client(),
        };
        tools.out.clear();
        if let Some(findings) = exchange.findings() {
            answers::write_found(&mut tools.out, findings, exchange.said.method(), always);
        }
    }

    /// Writes the page that says why there is no response.
    pub(super) fn write_page(&mut self, tools: &mut Tools, at: usize) {
        let stream = &self.streams[at];
        let exchange = &stream.work.exchange;
        let page = Page {
            status: exchange.status(),
            accept: exchange.said.accept(),
            request_id: &exchange.said.id,
            head_only: exchange.method() == Method::Head,
            retry_after: exchange.retry_after(),
            always: Always {
                date: tools.date.at(clock::wall()),
                hsts: stream.owner().http.rules.hsts(),
                close: !exchange.keeps_client(),
            },
        };
        tools.out.clear();
        let backend = stream.backend().map(|backend| &backend.http.pages);
        stream.owner().http.pages.write(&mut tools.out, backend, &page);
    }
}
