//! Hosts, clusters, faults, the runner, the store, reports, the command line.
