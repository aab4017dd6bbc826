// SPDX-License-Identifier: Apache-2.0
//! Every struct has the layout of the header, which tests/abi/layout.inc pins.

use std::collections::BTreeMap;
use std::mem::{size_of, MaybeUninit};
use std::ptr::addr_of;

use agentsh_ebpf_sys::*;

const LAYOUT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../tests/abi/layout.inc"
));

type Layout = BTreeMap<(String, String), (usize, usize)>;

fn size_of_pointee<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! structs {
    ($($name:ident { $($member:ident)* })*) => {
        fn ours() -> Layout {
            let mut layout = Layout::new();
            $(
                let value = MaybeUninit::<$name>::zeroed();
                let base = value.as_ptr();
                $(
                    // SAFETY: the pointer is only compared.
                    let member = unsafe { addr_of!((*base).$member) };
                    layout.insert(
                        (stringify!($name).into(), stringify!($member).into()),
                        (member as usize - base as usize, size_of_pointee(member)),
                    );
                )*
                layout.insert((stringify!($name).into(), "-".into()), (size_of::<$name>(), 0));
            )*
            layout
        }
    };
}

structs! {
    agentsh_ebpf_event {
        kind flags timestamp_ns session_id session_lost cgroup_id socket_cookie netns_cookie
        process_start_ns pid tgid ppid uid gid ns_pid ns_tgid family protocol socket_type
        local_port remote_port reserved0 error rtt_us duration_ns bytes_sent bytes_received
        local_addr remote_addr comm retransmits packets_sent ifindex exe_device exe_inode
        process_comm container_pid container_tgid packets_received verdict name_id rule_id
        reserved
    }
    agentsh_ebpf_error {
        size code step reserved message
    }
    agentsh_ebpf_tracer_options {
        size mode hooks flags ring_size ring_quota max_sessions udp_dedup_entries on_event
        event_ctx on_log log_ctx simulate_missing wakeup_delay_us required_hooks max_sockets
        check_interval_ms progress_interval_ms dns_timeout_ms dns_ports
        rules_bytes rules_addresses
    }
    agentsh_ebpf_session_options {
        size flags session_id max_sockets names_max names_bytes reserved trusted_resolvers rules
    }
    agentsh_ebpf_rule {
        addr family prefix_len protocol first_port last_port rule_id action flags
        expires_boottime_ns reserved
    }
    agentsh_ebpf_rules_options {
        size flags default_action on_exhaustion
    }
    agentsh_ebpf_address {
        family port ttl_s addr
    }
    agentsh_ebpf_name {
        size source server_name_source flags others asker_tgid age_ns ttl_ns resolver asked owner
        server_name alpn
    }
    agentsh_ebpf_dns {
        size question_type rcode flags addresses
    }
    agentsh_ebpf_session_check {
        size hooks error reserved wanted attached effective
    }
    agentsh_ebpf_stats {
        size sessions delivered lost lost_quota deduplicated attach_failures malformed untracked
        packets_lost answers answers_unasked answers_untrusted answers_malformed
        messages_skipped names_evicted allowed denied would_deny packets_denied
        packets_would_deny
    }
    agentsh_ebpf_check {
        status error required reserved value detail
    }
    agentsh_ebpf_capabilities {
        size usable simulate_missing available missing hooks count kernel_version max_sessions
        cgroup_mode load_only kernel_release cgroup2_path cgroup_path reason checks
    }
    agentsh_ebpf_coverage {
        size count seen implied unseen enforced rules_flags reserved
    }
}

/// The value of an expression such as 32, P, 32 + P or 32 + 2 * P.
fn number(expression: &str) -> usize {
    let factor = |word: &str| match word.trim() {
        "P" => size_of::<*const ()>(),
        word => word.parse().unwrap(),
    };
    expression
        .split('+')
        .map(|term| term.split('*').map(factor).product::<usize>())
        .sum()
}

fn theirs() -> Layout {
    let mut layout = Layout::new();
    for line in LAYOUT.lines() {
        let arguments = |prefix: &str| -> Option<Vec<String>> {
            let rest = line.strip_prefix(prefix)?.strip_suffix(')')?;
            Some(
                rest.split(',')
                    .map(|word| word.trim().to_string())
                    .collect(),
            )
        };
        if let Some(words) = arguments("MEMBER(") {
            let value = (number(&words[2]), number(&words[3]));
            layout.insert((words[0].clone(), words[1].clone()), value);
        } else if let Some(words) = arguments("SIZE(") {
            layout.insert((words[0].clone(), "-".into()), (number(&words[1]), 0));
        }
    }
    layout
}

#[test]
fn layout() {
    let (ours, theirs) = (ours(), theirs());
    assert!(theirs.len() > 100, "layout.inc was not understood");
    for key in ours.keys().chain(theirs.keys()) {
        assert_eq!(
            ours.get(key),
            theirs.get(key),
            "{key:?}: here and in the header"
        );
    }
}
