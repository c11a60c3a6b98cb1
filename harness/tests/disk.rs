//! Disks through the kernel: what a layer promises while nothing is wrong, and the faults of real clusters with their
//! receipts. In a sandbox of the test's own; without permission for one, or without FUSE, the tests are skipped and say
//! so.

mod fixture;
mod standin;
mod trials;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fixture::{Fixture, nodes, trial};
use grudge::cluster::{Cluster, Spec};
use grudge::fault::{Active, DiskTrouble, Evidence, Fault, FaultError, FaultKind};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use standin::Manner;

fn main() -> ExitCode {
    standin::replica_if_asked();
    let fuse = Path::new("/dev/fuse").exists().then_some(()).ok_or_else(|| "/dev/fuse is not there".to_owned());
    let trials = vec![
        trial("files_behave_as_posix_says", files),
        trial("names_behave_as_posix_says", names),
        trial("memory_that_is_mapped_is_the_file", mapped),
        trial("a_folder_holds_afterwards_what_was_written", afterwards),
        trial("a_loss_of_power_takes_what_was_not_synced", power),
        trial("a_loss_of_power_without_a_layer_has_no_receipt", power_sabotaged),
        trial("a_file_that_was_synced_survives_with_its_name", survives),
        trial("what_was_written_synchronously_survives", synchronous),
        trial("each_trouble_is_seen_and_is_over_in_the_end", troubles),
        trial("a_trouble_without_a_layer_has_no_receipt", trouble_sabotaged),
        trial("a_trouble_that_ended_by_itself_has_no_receipt", trouble_ended_early),
        trial("two_troubles_at_once_end_one_by_one", two_troubles),
        trial("a_slow_fsync_keeps_nobody_else_waiting_and_dies_with_its_process", slow),
        trial("what_a_failed_fsync_should_have_saved_is_lost_for_good", failed_fsync),
        trial("a_node_that_dies_of_its_disk_is_no_crash_and_comes_back", dies_of_its_disk),
        trial("a_bit_flips_in_a_closed_file_and_stays", flip),
        trial("a_bit_that_flips_where_nobody_reads_has_no_receipt", flip_sabotaged),
        trial("without_a_closed_file_no_bit_flips", no_closed_file),
        trial("a_cluster_that_was_not_asked_for_has_no_layer", not_asked_for),
        trial("whoever_waits_for_a_layer_that_is_killed_gets_an_error", layer_killed),
    ];
    fixture::run(fuse, trials)
}

/// A cluster with a layer under each node's data, and where that is.
struct Disks {
    fixture: Fixture,
    root: PathBuf,
}

impl Deref for Disks {
    type Target = Fixture;

    fn deref(&self) -> &Fixture {
        &self.fixture
    }
}

impl DerefMut for Disks {
    fn deref_mut(&mut self) -> &mut Fixture {
        &mut self.fixture
    }
}

async fn three() -> Disks {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let root = dir.path().to_owned();
    Disks { fixture: Fixture::of(cluster_in(&root).await, dir), root }
}

async fn cluster_in(root: &Path) -> Cluster {
    let faults = [FaultKind::Disk, FaultKind::Power].into();
    let spec = Spec { faults, ..standin::spec(Manner::Serve, 3, root) };
    Cluster::up(spec).await.expect("stand-ins come up")
}

fn data(root: &Path, node: &str) -> PathBuf {
    root.join("nodes").join(node).join("data")
}

impl Disks {
    fn data(&self, node: &str) -> PathBuf {
        data(&self.root, node)
    }

    /// Flips a bit of a file that was just closed: it counts as open until the kernel has said so.
    async fn flip(&mut self, node: &str) -> Result<Active, FaultError> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.try_start(disk(node, DiskTrouble::Flip)).await {
                Err(FaultError::Inapplicable(why)) => assert!(Instant::now() < deadline, "{why}"),
                flipped => return flipped,
            }
        }
    }

    async fn down(self) {
        self.fixture.cluster.down().await;
    }

    /// Takes the layer of a node away behind the harness's back.
    fn sabotage(&self, node: &str) {
        umount2(&self.data(node), MntFlags::MNT_DETACH).expect("it is mounted");
    }
}

fn disk(node: &str, trouble: DiskTrouble) -> Fault {
    Fault::Disk { targets: nodes(&[node]), trouble }
}

fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().expect("plain names")).collect();
    names.sort();
    names
}

fn number(error: &std::io::Error) -> Option<i32> {
    error.raw_os_error()
}

// ---- nothing is wrong

async fn files() {
    let fixture = three().await;
    let data = fixture.data("n1");
    assert!(fs::read_to_string("/proc/self/mountinfo").expect("/proc").contains("fuse"), "there is a layer");
    let path = data.join("file");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("it is new");
    let again = OpenOptions::new().write(true).create_new(true).open(&path).expect_err("it is there");
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);

    let large: Vec<u8> = (0..5_000_011_u32).map(|at| (at % 251) as u8).collect();
    file.write_all(&large).expect("it is written");
    assert!(fs::read(&path).expect("it is read") == large, "what was written is read");
    file.set_len(1000).expect("it is cut");
    file.set_len(3000).expect("it is extended");
    let cut = fs::read(&path).expect("it is read");
    assert!(cut[..1000] == large[..1000] && cut[1000..] == [0; 2000], "what was cut off reads as zeros");
    file.write_all_at(b"far", 100_000).expect("behind a hole");
    assert_eq!(file.metadata().expect("it is there").len(), 100_003);
    file.seek(SeekFrom::Start(50_000)).expect("a place in the hole");
    let mut hole = [1; 100];
    file.read_exact(&mut hole).expect("it is read");
    assert_eq!(hole, [0; 100]);
    file.sync_all().and_then(|()| file.sync_data()).expect("it is fsynced");
    // SAFETY: a plain system call on a file that is open.
    let allocated = unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 200_000) };
    assert_eq!((allocated, file.metadata().expect("it is there").len()), (0, 200_000));

    let mut appending: Vec<File> = (0..2)
        .map(|_| OpenOptions::new().append(true).create(true).open(data.join("appended")).expect("it is opened"))
        .collect();
    for round in 0..100_u8 {
        appending[usize::from(round % 2)].write_all(&[round]).expect("it is appended");
    }
    assert_eq!(fs::read(data.join("appended")).expect("it is read"), (0..100).collect::<Vec<u8>>());

    let other = File::open(&path).expect("it is opened");
    file.lock().expect("nobody has it");
    assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)), "one lock at a time");
    file.unlock().and_then(|()| other.lock()).expect("it is free again");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("it is ours");
    let then = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    file.set_modified(then).expect("it is ours");
    let about = fs::metadata(&path).expect("it is there");
    assert_eq!((about.mode() & 0o777, about.modified().ok()), (0o640, Some(then)));
    fixture.down().await;
}

async fn names() {
    let fixture = three().await;
    let data = fixture.data("n1");
    assert_eq!(listed(&data), [""; 0], "nothing is seen of the harness");
    let [one, two, folder] = ["one", "two", "folder"].map(|name| data.join(name));
    fs::write(&one, "1").and_then(|()| fs::write(&two, "2")).expect("two files");
    let mut open = File::open(&two).expect("it is opened");
    fs::rename(&one, &two).expect("in the place of the other");
    assert_eq!((fs::read_to_string(&two).expect("it is read"), one.exists()), ("1".to_owned(), false));
    let mut text = String::new();
    open.read_to_string(&mut text).expect("it is still open");
    assert_eq!(text, "2", "what was replaced is read by whoever has it open");

    let mut open = OpenOptions::new().read(true).write(true).open(&two).expect("it is opened");
    fs::remove_file(&two).expect("it is there");
    open.write_all_at(b"more", 1).expect("it is still open");
    text.clear();
    open.read_to_string(&mut text).expect("it is still open");
    assert_eq!((text.as_str(), two.exists()), ("1more", false));

    fs::create_dir(&folder).and_then(|()| fs::write(folder.join("inside"), "3")).expect("a folder");
    let full = fs::remove_dir(&folder).expect_err("it is not empty");
    assert_eq!(full.kind(), ErrorKind::DirectoryNotEmpty);
    let below = fs::rename(&folder, folder.join("inside/below")).expect_err("into itself");
    assert!([Some(libc::EINVAL), Some(libc::ENOTDIR)].contains(&number(&below)), "{below}");
    fs::rename(&folder, data.join("renamed")).expect("a new name");
    assert_eq!(listed(&data), ["renamed"]);
    fs::hard_link(data.join("renamed/inside"), &one).expect("another name");
    assert_eq!(fs::metadata(&one).expect("it is there").nlink(), 2);
    fs::rename(&one, data.join("renamed/inside")).expect("both are one file: nothing happens");
    assert_eq!(fs::read_to_string(&one).expect("it is still there"), "3");
    symlink("renamed/inside", data.join("link")).expect("a link");
    assert_eq!(fs::read_link(data.join("link")).expect("it leads there"), Path::new("renamed/inside"));
    assert_eq!(fs::read_to_string(data.join("link")).expect("it leads there"), "3");
    for index in 0..500 {
        fs::write(data.join("renamed").join(index.to_string()), "").expect("one of many");
    }
    assert_eq!(listed(&data.join("renamed")).len(), 501);
    fs::remove_dir_all(data.join("renamed")).expect("all at once");
    let missing = fs::metadata(data.join("renamed")).expect_err("it is gone");
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    File::open(&data).and_then(|folder| folder.sync_all()).expect("a folder is fsynced");
    fixture.down().await;
}

async fn mapped() {
    let fixture = three().await;
    let path = fixture.data("n1").join("mapped");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("it is new");
    file.write_all_at(&[1; 8192], 0).expect("two pages");
    let (protection, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
    // SAFETY: a new mapping of two pages of a file that is open and as long; it is taken away below.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), 8192, protection, shared, file.as_raw_fd(), 0) };
    assert_ne!(memory, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
    let bytes: *mut u8 = memory.cast();
    // SAFETY: all of these lie in the mapping, and nobody else writes there at the same time.
    unsafe {
        assert_eq!(bytes.add(5000).read_volatile(), 1);
        file.write_all_at(&[2], 5000).expect("it is written");
        assert_eq!(bytes.add(5000).read_volatile(), 2, "a write is seen in memory at once");
        bytes.add(10).write_volatile(3);
        let mut byte = [0];
        file.read_exact_at(&mut byte, 10).expect("it is read");
        assert_eq!(byte, [3], "memory is seen by a read at once");
        assert_eq!(libc::msync(memory, 8192, libc::MS_SYNC), 0);
        libc::munmap(memory, 8192);
    }
    fixture.down().await;
}

async fn afterwards() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let cluster = cluster_in(dir.path()).await;
    let data = data(dir.path(), "n2");
    fs::create_dir(data.join("folder")).and_then(|()| fs::write(data.join("folder/file"), "kept")).expect("a file");
    fs::write(data.join("gone"), "").and_then(|()| fs::remove_file(data.join("gone"))).expect("a file for a moment");
    cluster.down().await;
    assert_eq!(listed(&data), ["folder"]);
    assert_eq!(fs::read_to_string(data.join("folder/file")).expect("it is read"), "kept");
    assert!(!fs::read_to_string("/proc/self/mountinfo").expect("/proc").contains("fuse"), "no layer is left");
    let beside: Vec<String> = fs::read_dir(dir.path().join("nodes/n2"))
        .expect("its folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("plain names"))
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(beside, [""; 0], "what was removed is gone for good");
}

// ---- power

async fn power() {
    let mut fixture = three().await;
    let data = fixture.data("n1");
    let synced = OpenOptions::new().read(true).write(true).create_new(true).open(data.join("synced"));
    let synced = synced.expect("it is new");
    synced.write_all_at(b"durable", 0).and_then(|()| synced.sync_all()).expect("it is fsynced");
    let mut lost = 0;
    // What survives is drawn: of ten losses of power not all leave everything.
    for round in 0..10 {
        synced.write_all_at(b"changed", 0).expect("it is open");
        fs::write(data.join("new"), [7; 10_000]).expect("a new file");
        let active = fixture.start(Fault::Power(nodes(&["n1"]))).await;
        let Evidence::PowerLost(losses) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
        let loss = losses[0].loss;
        let text = fs::read_to_string(data.join("synced")).expect("it was fsynced");
        let left = fs::read(data.join("new")).unwrap_or_default();
        assert!(["durable", "changed"].contains(&text.as_str()), "round {round}: {text}");
        assert!(left.len() <= 10_000 && left.iter().all(|byte| [0, 7].contains(byte)), "round {round}");
        let whole = text == "changed" && left == [7; 10_000];
        assert_eq!(loss.bytes == 0 && loss.names == 0, whole, "round {round}: {loss:?}, {text}, {}", left.len());
        lost += usize::from(!whole);
        let receipt = fixture.stop(active).await;
        assert!(matches!(receipt.evidence, Evidence::Restarted(_)), "{receipt:?}");
        synced.write_all_at(b"durable", 0).and_then(|()| synced.sync_all()).expect("it is fsynced");
        drop(fs::remove_file(data.join("new")));
        File::open(&data).and_then(|folder| folder.sync_all()).expect("a folder is fsynced");
    }
    assert!(lost > 3, "something was lost in {lost} of 10 losses of power");
    assert_eq!(fixture.cluster.crashes(), []);
    fixture.down().await;
}

async fn power_sabotaged() {
    let mut fixture = three().await;
    fixture.sabotage("n2");
    let error = fixture.try_start(Fault::Power(nodes(&["n1", "n2"]))).await.expect_err("n2 loses nothing");
    assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
    assert!(error.to_string().contains("n2: a write without fsync is still there"), "{error}");
    fixture.cluster.heal_all().await.expect("both start again");
    fixture.down().await;
}

async fn survives() {
    let mut fixture = three().await;
    let data = fixture.data("n3");
    for round in 0..5 {
        // As programs replace a file: no fsync of the folder, but one of another file afterwards.
        let new = File::create(data.join("new")).expect("it is made");
        new.write_all_at(format!("version {round}").as_bytes(), 0).and_then(|()| new.sync_all()).expect("fsynced");
        fs::rename(data.join("new"), data.join("current")).expect("in the place of the old one");
        let other = File::create(data.join("other")).expect("it is made");
        other.sync_all().expect("it is fsynced");
        let active = fixture.start(Fault::Power(nodes(&["n3"]))).await;
        assert_eq!(fs::read_to_string(data.join("current")).expect("it is there"), format!("version {round}"));
        fixture.stop(active).await;
    }
    fixture.down().await;
}

async fn synchronous() {
    let mut fixture = three().await;
    let files = [("sync", libc::O_SYNC), ("dsync", libc::O_DSYNC)].map(|(name, flag)| {
        let path = fixture.data("n2").join(name);
        let file = OpenOptions::new().write(true).create_new(true).custom_flags(flag).open(&path);
        (path, file.expect("it is new"))
    });
    for round in 0..5 {
        let text = format!("version {round}");
        files.iter().for_each(|(_, file)| file.write_all_at(text.as_bytes(), 0).expect("it is open"));
        let active = fixture.start(Fault::Power(nodes(&["n2"]))).await;
        for (path, _) in &files {
            assert_eq!(fs::read_to_string(path).expect("it is there"), text, "{}", path.display());
        }
        fixture.stop(active).await;
    }
    fixture.down().await;
}

// ---- troubles

async fn troubles() {
    let mut fixture = three().await;
    let file = fixture.data("n1").join("file");
    fs::write(&file, "before").expect("a file");
    let table = [
        (DiskTrouble::Slow(Duration::from_millis(120)), "an fsync took "),
        (DiskTrouble::Full, "a write failed with ENOSPC"),
        (DiskTrouble::ReadError, "a read failed with EIO"),
        (DiskTrouble::WriteError, "a write failed with EIO"),
        (DiskTrouble::FsyncError, "an fsync failed with EIO"),
    ];
    for (trouble, sentence) in table {
        let active = fixture.start(disk("n1", trouble)).await;
        let Evidence::Disks(seen) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
        let rest = seen[0].seen.strip_prefix(sentence).filter(|_| seen.len() == 1);
        let rest = rest.unwrap_or_else(|| panic!("{trouble}: {seen:?}"));
        let open = || OpenOptions::new().write(true).open(&file).expect("it is opened");
        let error = match trouble {
            DiskTrouble::Full => Some((fs::write(file.with_file_name("new"), "x"), libc::ENOSPC)),
            DiskTrouble::ReadError => Some((fs::read(&file).map(drop), libc::EIO)),
            DiskTrouble::WriteError => Some((open().write_all_at(b"x", 0), libc::EIO)),
            DiskTrouble::FsyncError => Some((open().sync_all(), libc::EIO)),
            DiskTrouble::Slow(_) => {
                let took: Option<f64> = rest.strip_suffix(" ms").and_then(|number| number.parse().ok());
                assert!(took.is_some_and(|took| took >= 120.0), "longer, if anything, on a busy machine: {seen:?}");
                None
            }
            DiskTrouble::Flip => None,
        };
        if let Some((result, wanted)) = error {
            assert_eq!(result.map_err(|error| number(&error)), Err(Some(wanted)), "{trouble}");
        }
        let other = fixture.data("n2").join(trouble.to_string().replace(' ', "-"));
        fs::write(&other, "n2 is well").and_then(|()| File::open(other)?.sync_all()).expect("n2 is well");
        let over = fixture.stop(active).await;
        assert!(matches!(&over.evidence, Evidence::Disks(seen) if !seen[0].restarted), "{over:?}");
        fs::write(&file, "after").and_then(|()| File::open(&file)?.sync_all()).expect("n1 is well again");
    }
    assert_eq!(fixture.cluster.crashes(), []);
    fixture.down().await;
}

async fn trouble_sabotaged() {
    let mut fixture = three().await;
    fixture.sabotage("n1");
    for (trouble, sentence) in [
        (DiskTrouble::Full, "n1: a write succeeded"),
        (DiskTrouble::ReadError, "n1: a read succeeded"),
        (DiskTrouble::WriteError, "n1: a write succeeded"),
        (DiskTrouble::FsyncError, "n1: an fsync succeeded"),
        (DiskTrouble::Slow(Duration::from_secs(5)), "n1: an fsync took"),
    ] {
        let error = fixture.try_start(disk("n1", trouble)).await.expect_err("the layer is not there");
        assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
        assert!(error.to_string().contains(sentence), "{error}");
    }
    fixture.down().await;
}

async fn trouble_ended_early() {
    let mut fixture = three().await;
    for (node, trouble, sentence) in [
        ("n1", DiskTrouble::ReadError, "n1: at its end a read succeeded"),
        ("n2", DiskTrouble::Full, "n2: at its end a write succeeded"),
        ("n3", DiskTrouble::WriteError, "n3: at its end a write succeeded"),
    ] {
        let active = fixture.start(disk(node, trouble)).await;
        fixture.sabotage(node);
        let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
        assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
        assert!(error.to_string().contains(sentence), "{error}");
    }
    fixture.down().await;
}

async fn two_troubles() {
    let mut fixture = three().await;
    let slow = fixture.start(disk("n1", DiskTrouble::Slow(Duration::from_millis(50)))).await;
    let full = fixture.start(disk("n1", DiskTrouble::WriteError)).await;
    let over = fixture.stop(full).await;
    assert!(matches!(&over.evidence, Evidence::Disks(seen) if seen[0].seen.contains("another")), "{over:?}");
    let over = fixture.stop(slow).await;
    assert!(matches!(&over.evidence, Evidence::Disks(seen) if seen[0].seen.contains("fsync took")), "{over:?}");
    fixture.down().await;
}

async fn slow() {
    let mut fixture = three().await;
    let data = fixture.data("n1");
    let by = Duration::from_millis(600);
    let active = fixture.start(disk("n1", DiskTrouble::Slow(by))).await;
    let file = File::create(data.join("slow")).expect("it is made");
    let begun = Instant::now();
    let waiting = std::thread::spawn(move || file.write_all_at(b"x", 0).and_then(|()| file.sync_all()));
    let mut others = 0;
    while !waiting.is_finished() {
        fs::write(data.join("quick"), "y").and_then(|()| fs::read(data.join("quick"))).expect("a file");
        others += 1;
    }
    waiting.join().expect("it does not panic").expect("it is fsynced in the end");
    assert!(begun.elapsed() >= by, "{:?}", begun.elapsed());
    assert!(others > 1, "{others} other calls meanwhile");
    fixture.stop(active).await;
    fixture.down().await;
}

async fn failed_fsync() {
    let mut fixture = three().await;
    let data = fixture.data("n1");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(data.join("file")).expect("it is new");
    file.write_all_at(b"durable", 0).and_then(|()| file.sync_all()).expect("it is fsynced");
    let active = fixture.start(disk("n1", DiskTrouble::FsyncError)).await;
    file.write_all_at(b"failed!", 0).expect("it is written");
    let error = file.sync_all().expect_err("it fails");
    assert_eq!(number(&error), Some(libc::EIO));
    fixture.stop(active).await;
    file.sync_all().expect("who asks again is told that all is well");
    assert_eq!(fs::read_to_string(data.join("file")).expect("it is read"), "failed!");
    fixture.start(Fault::Power(nodes(&["n1"]))).await;
    assert_eq!(fs::read_to_string(data.join("file")).expect("it is read"), "durable");
    fixture.cluster.heal_all().await.expect("it starts again");
    fixture.down().await;
}

/// The number of a node's process, seen by a fault that does nothing to it.
async fn pid(fixture: &mut Disks, node: &str) -> Pid {
    let active = fixture.start(Fault::Pause(nodes(&[node]))).await;
    let receipt = fixture.stop(active).await;
    match receipt.evidence {
        Evidence::Running(processes) => Pid::from_raw(processes[0].pid),
        other => panic!("{other:?}"),
    }
}

async fn dies_of_its_disk() {
    let mut fixture = three().await;
    let pid = pid(&mut fixture, "n2").await;
    let active = fixture.start(disk("n2", DiskTrouble::WriteError)).await;
    kill(pid, Signal::SIGABRT).expect("it lives");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match fixture.try_start(Fault::Pause(nodes(&["n2"]))).await {
            Err(FaultError::Inapplicable(_)) => break,
            Ok(pause) => drop(fixture.cluster.stop(pause).await),
            Err(_) => {}
        }
        assert!(Instant::now() < deadline, "it does not die");
    }
    let over = fixture.stop(active).await;
    assert!(matches!(&over.evidence, Evidence::Disks(seen) if seen[0].restarted), "{over:?}");
    assert_eq!(fixture.cluster.crashes(), [], "a death of a disk's making is no crash");
    let node = fixture.cluster.nodes()[1].clone();
    tokio::net::TcpStream::connect(node.client_address).await.expect("it serves again");
    fixture.down().await;
}

async fn flip() {
    let mut fixture = three().await;
    let data = fixture.data("n1");
    let before: Vec<u8> = (0..100_000_u32).map(|at| (at % 250) as u8 + 1).collect();
    fs::create_dir(data.join("folder")).and_then(|()| fs::write(data.join("folder/closed"), &before)).expect("a file");
    let open = File::create(data.join("open")).expect("it is made");
    open.write_all_at(b"open", 0).expect("a few bytes");
    let active = fixture.flip("n1").await.expect("one file is closed");
    let Evidence::Flipped(bits) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    assert_eq!((bits.len(), bits[0].flip.file.as_os_str()), (1, OsStr::new("folder/closed")));
    // There is nothing to take away.
    fixture.stop(active).await;
    let after = fs::read(data.join("folder/closed")).expect("it is read");
    let differ: Vec<usize> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
    assert_eq!(differ.len(), 1, "{differ:?}");
    assert_eq!((before[differ[0]] ^ after[differ[0]]).count_ones(), 1);
    assert_eq!(fs::read(data.join("open")).expect("it is read"), b"open");
    fixture.down().await;
}

async fn flip_sabotaged() {
    let mut fixture = three().await;
    let (file, copy) = (fixture.data("n1").join("closed"), fixture.root.join("copy"));
    fs::write(&file, [7; 100]).and_then(|()| fs::copy(&file, &copy)).expect("a file, and another like it");
    let nothing: Option<&str> = None;
    mount(Some(&copy), &file, nothing, MsFlags::MS_BIND, nothing).expect("the copy in the place of the file");
    let error = fixture.flip("n1").await.expect_err("what is read is as it was");
    assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
    assert!(error.to_string().contains("of closed is 0x07 and not 0x"), "{error}");
    umount2(&file, MntFlags::MNT_DETACH).expect("it is mounted");
    fixture.down().await;
}

async fn no_closed_file() {
    let mut fixture = three().await;
    let error = fixture.try_start(disk("n1", DiskTrouble::Flip)).await.expect_err("there is no file");
    assert!(matches!(error, FaultError::Inapplicable(_)), "{error}");
    fixture.down().await;
}

async fn not_asked_for() {
    let Fixture { cluster, mut rng, .. } = Fixture::up(Manner::Serve, 3).await;
    assert!(!fs::read_to_string("/proc/self/mountinfo").expect("/proc").contains("fuse"), "there is no layer");
    let error = cluster.start(&disk("n1", DiskTrouble::Full), &mut rng).await.expect_err("there is no layer");
    assert!(error.to_string().contains("without a layer"), "{error}");
    cluster.down().await;
}

// ---- the layer's own end

/// The process that serves the layer over a folder.
fn layer(folder: &Path) -> Pid {
    let serves = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.len() > 2 && words[1] == b"disk" && words[2] == folder.as_os_str().as_encoded_bytes()
    };
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Pid::from_raw(pids.find(serves).expect("it runs"))
}

async fn layer_killed() {
    let mut fixture = three().await;
    let data = fixture.data("n1").canonicalize().expect("it is there");
    let active = fixture.start(disk("n1", DiskTrouble::Slow(Duration::from_secs(2)))).await;
    let file = File::create(data.join("file")).expect("it is made");
    let waiting = std::thread::spawn(move || file.write_all_at(b"x", 0).and_then(|()| file.sync_all()));
    kill(layer(&data), Signal::SIGKILL).expect("it runs");
    waiting.join().expect("it does not panic").expect_err("nobody answers");
    let error = fixture.cluster.stop(active).await.expect_err("nobody knows what the disk did");
    assert!(!matches!(error, FaultError::Inapplicable(_)), "{error}");
    fixture.down().await;
}
