//! A node's role, by `Maintenance.Status`.

use super::outcome::Stop;
use super::pb::{StatusRequest, StatusResponse};
use super::session::Session;
use crate::client::Effect;
use crate::client::adapter::Conversation as _;
use crate::client::{Role, Target};

pub(super) async fn ask(target: &Target) -> Result<Role, String> {
    let mut session = Session::open(target).await?;
    status(&mut session).await.map(|status| role(&status)).map_err(Stop::token)
}

async fn status(session: &mut Session) -> Result<StatusResponse, Stop> {
    let mut maintenance = session.maintenance()?;
    session.step(Effect::None, maintenance.status(StatusRequest {})).await
}

fn role(status: &StatusResponse) -> Role {
    let own = status.header.as_ref().map_or(0, |header| header.member_id);
    match status.leader {
        0 => Role::Looking,
        leader if leader == own => Role::Leader,
        _ => Role::Follower,
    }
}
