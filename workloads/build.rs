//! Generates the etcd API's types and clients, without `protoc`. The description is the replicas' own, so that there
//! is one.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(["etcd.proto"], ["../nodes/proto"])?;
    tonic_prost_build::configure().build_server(false).include_file("etcd.rs").compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed=../nodes/proto");
    Ok(())
}
