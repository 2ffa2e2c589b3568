/* SPDX-License-Identifier: GPL-2.0 */
/* apf_host: its presence, its events, and the counters of all VMs that it watches. */
#ifndef APFD_MODULE_H
#define APFD_MODULE_H

#include "genl.h"

struct manager;
struct vm;

/* Idle VMs are read in turns, each once in this many ticks. */
enum { IDLE_TICKS = 16 };

enum module_phase {
	MODULE_IDLE,
	MODULE_LISTING, /* the VMs */
	MODULE_ALL,	/* one dump with the vCPUs of all VMs */
	MODULE_EACH,	/* a dump for each VM that must still be read */
};

/**
 * struct module_reading - the reading of the counters of all VMs that is under way
 * @begin_usec: CLOCK_MONOTONIC
 * @each_usec: begin of MODULE_EACH
 * @last: the VM of the last record, in MODULE_EACH that of the present dump; NULL if it has ended
 * @asked: the module's id of the VM of the present dump in MODULE_EACH
 * @done: see module_read()
 * @turn: number of this reading; decides which idle VMs are read
 * @timeouts: dumps in a row in MODULE_EACH that got no answer
 * @all_done: MODULE_ALL was tried
 * @error: the last error of a dump, 0 if there was none
 */
struct module_reading {
	enum module_phase phase;
	uint64_t begin_usec;
	uint64_t each_usec;
	struct vm *last;
	uint32_t asked;
	void (*done)(struct manager *m);
	unsigned int turn;
	unsigned int timeouts;
	bool all_done;
	int error;
};

/*
 * module_read: reads the counters of the VMs in this and later turns of the event loop, then calls
 * @done. A VM that cannot be read is marked (vm_not_read()) and logged; it does not affect the
 * others.
 */
void module_read(struct manager *m, void (*done)(struct manager *m));

/* Callbacks of &struct apfd_genl_ops; @userdata is the &struct manager. */
void module_presence(bool present, void *userdata);
void module_event(const struct genl_event *e, void *userdata);

/* module_forget: @vm is about to be freed. */
void module_forget(struct manager *m, const struct vm *vm);

#endif /* APFD_MODULE_H */
