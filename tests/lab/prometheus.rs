//! A lab's Prometheus, as anyone asks it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::support::Lab;

/// The lab's Prometheus.
pub struct Prometheus(String);

impl Prometheus {
    pub fn of(lab: &Lab) -> Self {
        Self(lab.published(9090))
    }

    /// What a query gives at this moment.
    #[track_caller]
    pub fn query(&self, query: &str) -> Vec<Value> {
        let encode = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        let encoded: String = query.bytes().map(encode).collect();
        let answer: Value = serde_json::from_str(&get(&self.0, &format!("/api/v1/query?query={encoded}"))).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer:#}");
        match answer["data"]["resultType"].as_str().unwrap() {
            "vector" => answer["data"]["result"].as_array().unwrap().clone(),
            other => panic!("{query} gives a {other}"),
        }
    }

    #[track_caller]
    pub fn number(&self, query: &str) -> f64 {
        let result = self.query(query);
        assert_eq!(result.len(), 1, "{query}: {result:?}");
        result[0]["value"][1].as_str().unwrap().parse().unwrap()
    }

    pub fn firing(&self) -> BTreeSet<String> {
        let alerts = self.query(r#"ALERTS{alertstate="firing"}"#);
        let names = alerts
            .iter()
            .map(|alert| alert["metric"]["alertname"].as_str().unwrap().to_owned());
        names.collect()
    }
}

/// The body of what a server answers.
#[track_caller]
pub fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}
