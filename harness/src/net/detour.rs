//! Which way packets take: from node to node over the bridge, or by way of the hub and its switch.
//!
//! The hub forwards what comes from the bridge and is not for itself into the switch's device, and what comes out of
//! the device to whom it is for. A detour is a route to one address in one node's namespace; established connections
//! follow it with their next packet.

use std::fs;
use std::net::Ipv4Addr;

use futures::future::try_join_all;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleAction;
use rtnetlink::{Error, LinkUnspec, RouteMessageBuilder};

use super::link::{BRIDGE, Bridge, Space, failed, index_of};
use super::switch::DEVICE;
use super::{HUB, Links, NetError};

/// The hub's table of routes for what comes from the bridge, and the priority of the rule that leads there.
const TABLE: u32 = 42;
/// How many packets wait for the switch's thread at most.
const QUEUE: u32 = 10_000;

/// Makes the hub forward by way of the switch's device.
pub(super) async fn prepare(bridge: &Bridge) -> Result<(), NetError> {
    let links = bridge.links();
    let device = index_of(links, DEVICE).await?;
    for (file, value) in [("ip_forward", "1"), ("conf/all/rp_filter", "0"), (&format!("conf/{DEVICE}/rp_filter"), "0")]
    {
        let path = format!("/proc/sys/net/ipv4/{file}");
        fs::write(&path, value).map_err(failed(format!("write {value} to {path}")))?;
    }
    let ready = LinkUnspec::new_with_index(device).append_extra_attribute(LinkAttribute::TxQueueLen(QUEUE)).up();
    links.link().set(ready.build()).execute().await.map_err(failed(format!("bring {DEVICE} up")))?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new().output_interface(device).table_id(TABLE).build();
    links.route().add(route).replace().execute().await.map_err(failed("route to the switch"))?;
    let rule = links.rule().add().v4().priority(TABLE).input_interface(BRIDGE).table_id(TABLE);
    match rule.action(RuleAction::ToTable).execute().await {
        // An earlier cluster of the same harness has left it; it holds for every bridge of that name.
        Err(Error::NetlinkError(answer)) if answer.raw_code() == -nix::libc::EEXIST => Ok(()),
        other => other.map_err(failed("send what is forwarded to the switch")),
    }
}

/// Changes the ways of all nodes side by side, from those links by the hub to these.
pub(super) async fn change(nodes: &[Space], before: &Links, after: &Links) -> Result<(), NetError> {
    try_join_all(nodes.iter().enumerate().map(|(from, node)| async move {
        let of = |links: &Links, without: &Links| -> Vec<usize> {
            links.difference(without).filter(|(sender, _)| *sender == from).map(|(_, to)| *to).collect()
        };
        for to in of(after, before) {
            let add = node.links.route().add(by_the_hub(node, nodes[to].address)).replace();
            add.execute().await.map_err(failed(format!("lead {} by the switch", node.name)))?;
        }
        for to in of(before, after) {
            let del = node.links.route().del(by_the_hub(node, nodes[to].address));
            del.execute().await.map_err(failed(format!("lead {} past the switch", node.name)))?;
        }
        Ok::<(), NetError>(())
    }))
    .await
    .map(drop)
}

fn by_the_hub(node: &Space, to: Ipv4Addr) -> RouteMessage {
    let route = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to, 32).gateway(HUB);
    route.output_interface(node.interface).build()
}
