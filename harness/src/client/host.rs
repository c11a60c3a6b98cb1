//! The client's side of the lines: hosts one of the clients that come with this program.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use grudge_workloads::client::{Client, Connect, Target};
use grudge_workloads::operation::Invocation;
use grudge_workloads::registry;
use grudge_workloads::speech::Speech;
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt};

use super::lines::{Answer, Request, next, written};

/// Does what it is told in that speech, until it is told nothing more.
///
/// # Errors
/// It is told what makes no sense, or nobody listens to its answers.
pub async fn serve(
    speech: Speech,
    mut input: impl AsyncBufRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut host = Host { speech, place: None, client: None, words: BTreeSet::new() };
    while let Some(request) = next(&mut input).await? {
        let answer = host.obey(request).await;
        output.write_all(&written(&answer)?).await?;
        output.flush().await?;
    }
    Ok(())
}

struct Host {
    speech: Speech,
    /// Whom it works for and where, once that was said.
    place: Option<(Arc<dyn Connect>, Target)>,
    client: Option<Box<dyn Client>>,
    words: BTreeSet<&'static str>,
}

impl Host {
    async fn obey(&mut self, request: Request) -> Answer {
        match request {
            Request::Start(start) => match registry::connect(&start.workload, self.speech.clone()) {
                Ok(connect) => {
                    self.place = Some((connect, start.target()));
                    Answer::DONE
                }
                Err(error) => refused(error.to_string()),
            },
            Request::Open => {
                self.client = None;
                let Some((connect, target)) = &self.place else { return refused("not-started") };
                match connect.connect(target).await {
                    Ok(client) => {
                        self.client = Some(client);
                        Answer::DONE
                    }
                    Err(token) => refused(token),
                }
            }
            Request::Invoke { f, key, value } => {
                let f = self.word(f);
                self.call(&Invocation { f, key, value }).await
            }
            Request::Close => {
                if let Some(mut client) = self.client.take() {
                    client.close().await;
                }
                Answer::DONE
            }
        }
    }

    async fn call(&mut self, invocation: &Invocation) -> Answer {
        let Some(client) = &mut self.client else { return refused("not-open") };
        let outcome = client.invoke(invocation).await;
        let answer = Answer::new(outcome, !client.alive());
        if matches!(answer, Answer::Info { .. } | Answer::Ok { over: true, .. } | Answer::Fail { over: true, .. }) {
            self.client = None;
        }
        answer
    }

    /// The operation's name, kept for the life of this process: there are few.
    fn word(&mut self, f: String) -> &'static str {
        if let Some(known) = self.words.get(f.as_str()) {
            return known;
        }
        let word: &'static str = Box::leak(f.into_boxed_str());
        self.words.insert(word);
        word
    }
}

/// It did nothing, and cannot do anything as it is.
fn refused(error: impl Into<String>) -> Answer {
    Answer::Fail { error: error.into(), over: true }
}

#[cfg(test)]
mod tests {
    use grudge_workloads::registry::Protocol;

    use super::*;

    #[tokio::test]
    async fn a_client_that_is_told_to_work_before_it_is_told_where_refuses() {
        let told: &[u8] = b"{\"type\":\"open\"}\n{\"type\":\"invoke\",\"f\":\"read\",\"key\":null,\"value\":null}\n";
        let mut said = Vec::new();
        serve(Protocol::Etcd.into(), told, &mut said).await.expect("all of them are lines");
        let said = String::from_utf8(said).expect("it is text");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(
            lines,
            [
                r#"{"type":"fail","error":"not-started","over":true}"#,
                r#"{"type":"fail","error":"not-open","over":true}"#,
            ]
        );
    }

    #[tokio::test]
    async fn a_workload_that_it_does_not_know_is_refused_in_words() {
        let told = br#"{"type":"start","worker":0,"workload":"queue","node":"n1","address":"10.42.0.1:2379","cluster":[],"timeout-ms":1,"ttl-ms":1}
"#;
        let mut said = Vec::new();
        serve(Protocol::Etcd.into(), &told[..], &mut said).await.expect("it is a line");
        assert!(String::from_utf8_lossy(&said).contains("There is no workload `queue`"));
    }
}
