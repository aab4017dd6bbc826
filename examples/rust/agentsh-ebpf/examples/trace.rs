// SPDX-License-Identifier: Apache-2.0
//! Prints every connection of the processes in a cgroup v2, with the name that the process asked for.
//!
//! Usage: trace CGROUP-DIRECTORY

use std::process::exit;

use agentsh_ebpf::{mode_from_env, Error, Event, Hooks, Kind, Mode, SessionOptions, Tracer};

/// The name is there until the tracer is read again. The process can choose it: it is no permission.
fn name_of(tracer: &Tracer, event: &Event) -> Result<String, Error> {
    Ok(match tracer.event_name(event)? {
        Some(name) => format!(
            " {:?} ({})",
            name.host().unwrap_or(&name.asked),
            name.source.name()
        ),
        None => String::new(),
    })
}

fn trace(directory: &str) -> Result<(), Error> {
    let (mode, simulate_missing) = mode_from_env(Mode::AUTO)?;
    let tracer = Tracer::options()
        .mode(mode)
        .hooks(Hooks::CONNECT | Hooks::UDP | Hooks::LIFECYCLE | Hooks::DNS)
        .simulate_missing(simulate_missing)
        .open()?;
    let _session = tracer.attach_path(directory, SessionOptions::default())?;
    let mut lost = 0;
    for event in tracer.events(None) {
        let event = event?;
        if event.session_lost() > lost {
            eprintln!("{} events were lost here", event.session_lost() - lost);
            lost = event.session_lost();
        }
        match event.remote() {
            // The process chooses its name, so it is printed with escapes.
            Some(remote) => println!(
                "{:?}[{}] {} {} {remote}{}",
                event.comm_lossy(),
                event.tgid(),
                event.protocol_name(),
                event.kind().name(),
                name_of(&tracer, &event)?
            ),
            None if event.kind() == Kind::SESSION_BLIND => {
                let reason = std::io::Error::from_raw_os_error(event.error());
                eprintln!("the cgroup is no longer traced: {reason}");
                return Ok(());
            }
            None => {}
        }
    }
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.len() != 2 {
        eprintln!("usage: trace CGROUP-DIRECTORY");
        exit(2);
    }
    if let Err(error) = trace(&arguments[1]) {
        eprintln!("trace: {error}");
        exit(1);
    }
}
