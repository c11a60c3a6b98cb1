//! Clients of what is described, and what they can be asked for.

use std::sync::Arc;

use async_trait::async_trait;

use super::api::Api;
use super::register::Register;
use super::session::Session;
use crate::client::{Adapter, Asks, Client, Connect, Role, Target};

/// Makes clients of registers that are described so.
pub(crate) struct Clients {
    api: Arc<Api>,
    clients: Adapter<Session, Register>,
    asks: Asks,
}

impl Clients {
    /// Of these, of nodes that are asked so whether they lead.
    pub(crate) fn new(api: Arc<Api>, asks: Asks) -> Self {
        Clients { clients: Adapter::new(Register::new(Arc::clone(&api))), api, asks }
    }
}

#[async_trait]
impl Connect for Clients {
    async fn connect(&self, target: &Target) -> Result<Box<dyn Client>, String> {
        self.clients.connect(target).await
    }

    async fn role(&self, target: &Target) -> Result<Role, String> {
        self.asks.role(target).await
    }

    fn can(&self, f: &str) -> bool {
        f != "cas" || self.api.cas.is_some()
    }
}
