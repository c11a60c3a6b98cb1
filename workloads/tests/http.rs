//! The client over HTTP does what is described, and sends each write once: a scripted server counts what comes over the
//! wire.

#[path = "support/http.rs"]
mod http;
#[path = "support/wire/mod.rs"]
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use grudge_workloads::client::http::Api;
use grudge_workloads::client::{Asks, Leader, Role, Target};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::connect;
use grudge_workloads::speech::Speech;
use http::{Connection, Request};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use wire::observed::Observed;
use wire::promises::{self, write};
use wire::{Deed, PATIENT, Script, Server, Wire};

/// Answers each request by script.
struct Http;

impl Wire for Http {
    const WRITE: &'static str = "PUT /kv/0";
    const VERSION: Option<i64> = None;
    const GREETING: Option<&'static str> = None;
    const FAREWELL: Option<&'static str> = None;
    const REFUSED: &'static str = "connection-refused";

    /// A status and a body.
    type Reply = (u16, &'static str);

    fn speech() -> Speech {
        let api = json!({
            "read": { "request": "GET /kv/{key}", "value": "/value" },
            "write": { "request": "PUT /kv/{key}", "body": "{value}", "failed": [{ "is": "nobody leads" }] },
        });
        Speech::Http(Arc::new(serde_json::from_value(api).expect("a description")), Asks::default())
    }

    async fn serve(stream: TcpStream, seen: Observed, script: Script<Self::Reply>) {
        // How a connection ends is counted, not judged.
        let _ = serve(stream, &seen, &script).await;
    }
}

async fn serve(stream: TcpStream, seen: &Observed, script: &Script<(u16, &'static str)>) -> io::Result<()> {
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.request().await? {
        seen.request(&request.line);
        match script.deed() {
            Deed::Answer => connection.answer(200, "").await?,
            Deed::Withhold => {}
            Deed::Cut => return Ok(()),
            Deed::Reply((status, body)) => connection.answer(status, body).await?,
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answered_write_is_ok() {
    promises::an_answered_write_is_ok::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_without_an_answer_is_unknown_and_never_sent_again() {
    promises::a_write_without_an_answer_is_unknown_and_never_sent_again::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_connection_is_cut_is_unknown_and_never_sent_again() {
    promises::a_write_whose_connection_is_cut_is_unknown_and_never_sent_again::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_connection_broke_nothing_is_sent_at_all() {
    promises::after_the_connection_broke_nothing_is_sent_at_all::<Http>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_is_told_and_the_write_not_sent_again() {
    let cases = [
        (307, "", Outcome::info("http-307")),
        (500, "nobody leads", Outcome::fail("http-500")),
        (500, "", Outcome::info("http-500")),
        (409, "", Outcome::fail("http-409")),
    ];
    for (status, body, outcome) in cases {
        let server = Server::<Http>::start(Deed::Reply((status, body))).await;
        let mut client = server.connect(PATIENT).await;
        assert_eq!(client.invoke(&write(1)).await, outcome, "{status} {body}");
        assert!(client.alive(), "what was answered leaves the connection as it was");
        assert_eq!(server.seen.requests(Http::WRITE), 1, "{status} {body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_without_the_value_that_is_described_reads_nothing() {
    let read = Invocation::new("read").on("0");
    for (body, outcome) in [
        (r#"{"value":7}"#, Outcome::ok(7, None)),
        (r#"{"value":"7"}"#, Outcome::ok(7, None)),
        (r#"{"value":null}"#, Outcome::ok(json!(null), None)),
        (r#"{"error":"maintenance"}"#, Outcome::fail("no-value")),
        ("maintenance", Outcome::fail("no-value")),
    ] {
        let server = Server::<Http>::start(Deed::Reply((200, body))).await;
        assert_eq!(server.connect(PATIENT).await.invoke(&read).await, outcome, "{body}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_refusal() {
    promises::nobody_there_is_a_refusal::<Http>().await;
}

/// Registers in memory.
type Registers = BTreeMap<String, String>;

/// What the server says to a request about them.
fn answer(registers: &mut Registers, request: &Request) -> (u16, String) {
    let (method, path) = request.line.split_once(' ').expect("a method and a path");
    let key = path.rsplit('/').next().unwrap_or_default().to_owned();
    match method {
        "GET" if path == "/state" => (200, r#"{"raft":{"leader":"127.0.0.1"}}"#.to_owned()),
        "GET" => registers.get(&key).map_or((404, String::new()), |value| (200, value.clone())),
        "PUT" => {
            registers.insert(key, request.body.clone());
            (204, String::new())
        }
        _ => {
            let fields: BTreeMap<_, _> = request.body.split('&').filter_map(|field| field.split_once('=')).collect();
            let changed = registers.get(&key).map_or("null", String::as_str) == fields["was"];
            if changed {
                registers.insert(key, fields["now"].to_owned());
            }
            (200, json!({ "changed": changed }).to_string())
        }
    }
}

/// Serves them, one connection after the other.
async fn registers() -> Target {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    tokio::spawn(async move {
        let mut registers = Registers::new();
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = Connection::new(stream);
            while let Ok(Some(request)) = connection.request().await {
                let (status, body) = answer(&mut registers, &request);
                // Who asked may have gone.
                let _ = connection.answer(status, &body).await;
            }
        }
    });
    Target { node: "n1".into(), address, cluster: Arc::new([]), timeout: PATIENT, ttl: PATIENT }
}

fn speech(with_cas: bool, leader: Option<Leader>) -> Speech {
    let mut api = json!({
        "read": { "request": "GET /kv/{key}", "absent": [{ "status": 404 }] },
        "write": { "request": "PUT /kv/{key}", "body": "{value}" },
    });
    if with_cas {
        api["cas"] = json!({
            "request": "POST /cas/{key}",
            "form": { "was": "{old}", "now": "{new}" },
            "ok": [{ "pointer": "/changed", "is": true }],
            "failed": [{ "pointer": "/changed", "is": false }],
        });
    }
    let api: Api = serde_json::from_value(api).expect("a description");
    Speech::Http(Arc::new(api), Asks { leader })
}

#[tokio::test]
async fn a_register_does_what_its_description_says() {
    let target = registers().await;
    let clients = connect("register", speech(true, None)).expect("registers are described");
    let mut client = clients.connect(&target).await.expect("the server serves");
    let on_x = |f| Invocation::new(f).on("x");
    let script = [
        (on_x("read"), Outcome::ok(Value::Null, None)),
        (on_x("cas").with(json!([null, 1])), Outcome::ok(json!([null, 1]), None)),
        (on_x("cas").with(json!([null, 2])), Outcome::fail("http-200")),
        (on_x("write").with(3), Outcome::ok(3, None)),
        (on_x("read"), Outcome::ok(3, None)),
        (on_x("acquire"), Outcome::fail("unsupported")),
    ];
    for (invocation, outcome) in script {
        assert_eq!(client.invoke(&invocation).await, outcome, "{invocation:?}");
    }
    client.close().await;
    assert_eq!(client.invoke(&on_x("read")).await, Outcome::fail("disconnected"));
}

#[tokio::test]
async fn a_node_is_asked_whether_it_leads_if_it_is_said_how() {
    let target = registers().await;
    let leader = |pointer: &str, is: Value| -> Leader {
        let question = json!({ "request": "GET /state", "pointer": pointer, "is": is });
        serde_json::from_value(question).expect("a question")
    };
    let asks = |command: &[&str], is: &str| -> Leader {
        serde_json::from_value(json!({ "command": command, "is": is })).expect("a question")
    };
    let table = [
        (None, Ok(Role::Equal)),
        (Some(leader("/raft/leader", json!("{ip}"))), Ok(Role::Leader)),
        (Some(leader("/raft/leader", json!("10.0.0.1"))), Ok(Role::Follower)),
        (Some(leader("/raft/term", json!(1))), Ok(Role::Follower)),
        (Some(Leader { request: "GET /no".parse().ok(), ..leader("", json!(1)) }), Err("http-404")),
        (Some(Leader { follows: Some(json!("127.0.0.1")), ..leader("/raft/leader", json!("me")) }), Ok(Role::Follower)),
        (Some(Leader { follows: Some(json!("you")), ..leader("/raft/leader", json!("me")) }), Ok(Role::Looking)),
        (Some(asks(&["echo", "{ip} leads"], "127.0.0.1 leads")), Ok(Role::Leader)),
        (Some(asks(&["echo", "follower"], "leader")), Ok(Role::Follower)),
        (Some(asks(&["false"], "leader")), Err("command-failed")),
        (Some(asks(&["/no/such/program"], "leader")), Err("entity-not-found")),
        (Some(Leader { port: Some(1), ..leader("", json!(1)) }), Err("connection-refused")),
    ];
    for (question, role) in table {
        let clients = connect("register", speech(false, question.clone())).expect("registers are described");
        assert_eq!(clients.role(&target).await, role.map_err(str::to_owned), "{question:?}");
    }
}

#[test]
fn a_workload_that_is_not_described_is_refused_in_words() {
    let error = connect("lock", speech(true, None)).err().expect("no lock is described");
    assert_eq!(error.to_string(), "The workload `lock` cannot be run over HTTP. There can be run: register.");
}
