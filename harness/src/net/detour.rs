//! Which way packets take: straight over the bridge, or by way of the hub and its switch.
//!
//! The hub forwards what comes from the bridge and is not for itself into the switch's device, and what comes out of
//! the device to whom it is for. A detour from node to node is a route to one address in one node's namespace. One
//! between a node and the clients is a rule in the hub, which is asked before the hub's own addresses are. Established
//! connections follow either with their next packet.

use std::fs;
use std::net::Ipv4Addr;

use futures::TryStreamExt;
use futures::future::try_join_all;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::{Error, Handle, IpVersion, LinkUnspec, RouteMessageBuilder};

use super::link::{BRIDGE, Bridge, Space, failed, index_of};
use super::switch::DEVICE;
use super::{HUB, Links, NetError, address_of};

/// The hub's table of routes to the switch.
const TABLE: u8 = 42;
/// The order of the hub's rules: what is sent to clients or by them, what is the hub's own, what it forwards.
const CLIENTS: u32 = 40;
const LOCAL: u32 = 41;
const FORWARDED: u32 = 42;
/// Where packets come from that the hub sends itself.
const ITSELF: &str = "lo";
/// Whether the kernel looks for a packet's socket before its way. It does not forward one that has a socket.
const SOCKET_FIRST: &str = "ip_early_demux";
/// How many packets wait for the switch's thread at most.
const QUEUE: u32 = 10_000;

/// Makes the hub forward by way of the switch's device.
pub(super) async fn prepare(bridge: &Bridge) -> Result<(), NetError> {
    let links = bridge.links();
    let device = index_of(links, DEVICE).await?;
    set("ip_forward", "1")?;
    for place in ["all", BRIDGE, DEVICE] {
        set(&format!("conf/{place}/rp_filter"), "0")?;
    }
    // What clients have sent comes out of it with the hub's own address.
    set(&format!("conf/{DEVICE}/accept_local"), "1")?;
    let ready = LinkUnspec::new_with_index(device).append_extra_attribute(LinkAttribute::TxQueueLen(QUEUE)).up();
    links.link().set(ready.build()).execute().await.map_err(failed(format!("bring {DEVICE} up")))?;
    let route = RouteMessageBuilder::<Ipv4Addr>::new().output_interface(device).pref_source(HUB);
    let route = links.route().add(route.table_id(TABLE.into()).build()).replace();
    route.execute().await.map_err(failed("route to the switch"))?;
    order_rules(links).await.map_err(failed("send what is forwarded to the switch"))
}

/// Makes room before the rule for what is the hub's own. An earlier cluster of the same harness may have left rules.
async fn order_rules(links: &Handle) -> Result<(), Error> {
    let before: Vec<RuleMessage> = links.rule().get(IpVersion::V4).execute().try_collect().await?;
    let of = |priority: u32| move |rule: &&RuleMessage| rule.attributes.contains(&RuleAttribute::Priority(priority));
    if !before.iter().any(|rule| of(LOCAL)(&rule)) {
        add(links, rule(LOCAL, nix::libc::RT_TABLE_LOCAL, [])).await?;
    }
    // The kernel does not tell a priority of zero.
    let first = |rule: &&RuleMessage| !rule.attributes.iter().any(|it| matches!(it, RuleAttribute::Priority(_)));
    for old in before.iter().filter(|rule| first(rule) || of(CLIENTS)(rule) || of(FORWARDED)(rule)) {
        del(links, old.clone()).await?;
    }
    add(links, rule(FORWARDED, TABLE, [RuleAttribute::Iifname(BRIDGE.to_owned())])).await
}

/// Changes all ways, from those links by the switch to these.
pub(super) async fn change(bridge: &Bridge, nodes: &[Space], before: &Links, after: &Links) -> Result<(), NetError> {
    let clients = nodes.len();
    let changed = before.symmetric_difference(after);
    let (of_clients, of_nodes): (Links, Links) = changed.partition(|(from, to)| [*from, *to].contains(&clients));
    if !of_clients.is_empty() {
        change_of_clients(bridge, &of_clients, after, clients).await?;
    }
    let of_nodes = &of_nodes;
    try_join_all(nodes.iter().enumerate().map(|(from, node)| async move {
        for link in of_nodes.iter().filter(|link| link.0 == from) {
            let (routes, route) = (node.links.route(), by_the_hub(node, nodes[link.1].address));
            let changed = match after.contains(link) {
                true => routes.add(route).replace().execute().await,
                false => routes.del(route).execute().await,
            };
            changed.map_err(failed(format!("lead {} by the switch or past it", node.name)))?;
        }
        Ok::<(), NetError>(())
    }))
    .await
    .map(drop)
}

/// Changes the ways between clients and nodes.
async fn change_of_clients(bridge: &Bridge, changed: &Links, after: &Links, clients: usize) -> Result<(), NetError> {
    let to_clients = after.iter().any(|(_, to)| *to == clients);
    if to_clients {
        set(SOCKET_FIRST, "0")?;
    }
    for link in changed {
        let (links, rule) = (bridge.links(), by_the_switch(*link, clients));
        let changed = if after.contains(link) { add(links, rule).await } else { del(links, rule).await };
        changed.map_err(failed("lead clients by the switch or past it"))?;
    }
    if !to_clients {
        set(SOCKET_FIRST, "1")?;
    }
    Ok(())
}

fn by_the_hub(node: &Space, to: Ipv4Addr) -> RouteMessage {
    let route = RouteMessageBuilder::<Ipv4Addr>::new().destination_prefix(to, 32).gateway(HUB);
    route.output_interface(node.interface).build()
}

/// What leads the packets of a link between a node and the clients, so many nodes being before them.
fn by_the_switch((from, to): (usize, usize), clients: usize) -> RuleMessage {
    let to = RuleAttribute::Destination(address_of(to, clients).into());
    if from == clients {
        // A socket that is not bound asks for its way before it has an address.
        rule(CLIENTS, TABLE, [RuleAttribute::Iifname(ITSELF.to_owned()), to])
    } else {
        let from = RuleAttribute::Source(address_of(from, clients).into());
        rule(CLIENTS, TABLE, [RuleAttribute::Iifname(BRIDGE.to_owned()), from, to])
    }
}

/// A rule that leads those packets to a table; addresses are whole ones.
fn rule<const N: usize>(priority: u32, table: u8, packets: [RuleAttribute; N]) -> RuleMessage {
    let mut rule = RuleMessage::default();
    let length = |of: fn(&RuleAttribute) -> bool| if packets.iter().any(of) { 32 } else { 0 };
    rule.header.src_len = length(|it| matches!(it, RuleAttribute::Source(_)));
    rule.header.dst_len = length(|it| matches!(it, RuleAttribute::Destination(_)));
    (rule.header.family, rule.header.table, rule.header.action) = (AddressFamily::Inet, table, RuleAction::ToTable);
    rule.attributes = [RuleAttribute::Priority(priority)].into_iter().chain(packets).collect();
    rule
}

async fn add(links: &Handle, rule: RuleMessage) -> Result<(), Error> {
    let mut add = links.rule().add();
    *add.message_mut() = rule;
    add.execute().await
}

async fn del(links: &Handle, rule: RuleMessage) -> Result<(), Error> {
    links.rule().del(rule).execute().await
}

/// Sets how the hub handles packets.
fn set(file: &str, value: &str) -> Result<(), NetError> {
    let path = format!("/proc/sys/net/ipv4/{file}");
    fs::write(&path, value).map_err(failed(format!("write {value} to {path}")))
}
