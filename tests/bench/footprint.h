/* SPDX-License-Identifier: Apache-2.0 */
/* The resources that this process holds. */
#ifndef BENCH_FOOTPRINT_H
#define BENCH_FOOTPRINT_H

struct footprint {
	double heap;	 /* bytes in use by malloc */
	double resident; /* bytes, VmRSS */
	double fds;
	double threads;
	double programs; /* loaded on the whole machine */
	double kernel;	 /* bytes of the whole machine: slabs, per-CPU and vmalloc areas */
};

struct footprint footprint_now(void);

#endif
