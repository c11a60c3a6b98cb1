//! Pairs of znodes made by one multi each, below `/grudge/multi/<key>`; see the real client.

use grudge_nodes::znode::{Answer, Create, CreateAnswer, CreateMode, NodeOp, Op, Write};
use grudge_workloads::client::halves;
use grudge_workloads::operation::{Invocation, Outcome};

use super::outcome::Stop;
use super::session::anyone;
use super::{Calls, Effect, Session};

const ROOT: &str = "/grudge/multi";

/// Calls on pairs.
pub(super) struct Multi;

impl Calls for Multi {
    async fn call(&mut self, session: &mut Session, invocation: &Invocation) -> Result<Outcome, Stop> {
        let Some(key) = &invocation.key else { return Ok(Outcome::fail("no-key")) };
        let directory = format!("{ROOT}/{key}");
        match invocation.f {
            "write" => {
                session.ensure(&directory).await?;
                let both = ["a", "b"].map(|half| create(format!("{directory}/{}-{half}", invocation.value)));
                let version = match session.step(Effect::Write, Op::Write(Write::Multi(both.into()))).await? {
                    Answer::Multi(answers) => match answers.first() {
                        Some(Answer::PathAndStat(_, stat)) => Some(stat.czxid),
                        _ => None,
                    },
                    Answer::MultiFailed(codes) => {
                        let code = codes.into_iter().flatten().next().ok_or(Stop::BadReply(Effect::Write))?;
                        return Err(Stop::Refused(Effect::Write, code));
                    }
                    _ => return Err(Stop::BadReply(Effect::Write)),
                };
                Ok(Outcome::ok(invocation.value.clone(), version))
            }
            "read" => Ok(Outcome::ok(halves(session.children(&directory).await?), None)),
            _ => Ok(Outcome::fail("unsupported")),
        }
    }
}

fn create(path: String) -> NodeOp {
    let (mode, answer) = (CreateMode::Persistent, CreateAnswer::PathAndStat);
    NodeOp::Create(Create { path, data: Some(Vec::new()), acl: anyone(), mode, answer })
}
