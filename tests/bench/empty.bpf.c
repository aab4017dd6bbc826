/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Baselines: the cost of running any program. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int bench_empty(struct bpf_sock_addr *ctx)
{
	(void)ctx;
	return 1;
}

SEC("sockops")
int bench_empty_sockops(struct bpf_sock_ops *ctx)
{
	(void)ctx;
	return 1;
}

SEC("cgroup_skb/egress")
int bench_empty_egress(struct __sk_buff *skb)
{
	(void)skb;
	return 1;
}

SEC("cgroup_skb/ingress")
int bench_empty_ingress(struct __sk_buff *skb)
{
	(void)skb;
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
