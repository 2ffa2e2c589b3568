/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All names on the bus: apfd writes these words, apfctl and apf-exporter read them. They are
 * part of the bus interface, which org.apfd(5) describes.
 */
#ifndef APF_NAMES_H
#define APF_NAMES_H

#include <uapi/apf_host.h>

#define BUS_NAME	      "org.apfd"
#define BUS_PATH_ROOT	      "/org/apfd"
#define BUS_PATH_VM	      BUS_PATH_ROOT "/vm"
#define BUS_INTERFACE_MANAGER "org.apfd.Manager1"
#define BUS_INTERFACE_VM      "org.apfd.VM1"
#define BUS_PATH_RECALL	      BUS_PATH_ROOT "/recall"
#define BUS_INTERFACE_RECALL  "org.apfd.Recall1"

/* Names of systemd, for "systemctl service-log-level". */
#define BUS_PATH_LOG_CONTROL	  "/org/freedesktop/LogControl1"
#define BUS_INTERFACE_LOG_CONTROL "org.freedesktop.LogControl1"

#define BUS_ERROR_NO_SUCH_VM	 "org.apfd.Error.NoSuchVM"
#define BUS_ERROR_NO_SUCH_VCPU	 "org.apfd.Error.NoSuchVCPU"
#define BUS_ERROR_INVALID_STATE	 "org.apfd.Error.InvalidState"
#define BUS_ERROR_INVALID_MODE	 "org.apfd.Error.InvalidMode"
#define BUS_ERROR_INVALID_CONFIG "org.apfd.Error.InvalidConfig"
#define BUS_ERROR_NO_HOST_MODULE "org.apfd.Error.NoHostModule"
#define BUS_ERROR_NOT_WATCHED	 "org.apfd.Error.NotWatched"
#define BUS_ERROR_NO_ROOM	 "org.apfd.Error.NoRoom"
#define BUS_ERROR_BUSY		 "org.apfd.Error.Busy"
#define BUS_ERROR_FAILED	 "org.apfd.Error.Failed"

/* Of ForgetStored(). */
#define BUS_ERROR_NO_SUCH_SETTINGS "org.apfd.Error.NoSuchSettings"
#define BUS_ERROR_VM_RUNS	   "org.apfd.Error.VMRuns"

/* The polkit actions: for every method that changes something; for recalls. */
#define POLKIT_ACTION_MANAGE "org.apfd.manage"
#define POLKIT_ACTION_RECALL "org.apfd.recall"

/* Namespace and prefix of apfd's element in the metadata of a libvirt domain. */
#define METADATA_URI	"https://apfd.org/xmlns/1"
#define METADATA_PREFIX "apf"

/* Metadata of apfd is not longer, even with overrides for 4096 vCPUs. */
#define METADATA_MAX_BYTES (256 * 1024)

/* States of a gate, and modes; the first three are states and modes. */
#define NAME_OFF     "off"
#define NAME_PV	     "pv"
#define NAME_ON	     "on"
#define NAME_MIXED   "mixed"
#define NAME_UNKNOWN "unknown" /* also the state of a module */
#define NAME_AUTO    "auto"
#define NAME_DEFAULT "default"

/*
 * Reason of a gate change by the policy: this, the rule, ": " and the reason of the decision; or,
 * if apfd sets for the whole VM what all its vCPUs have, NAME_REASON_WHOLE_VM; or, if the change
 * is for vCPUs that are added later, NAME_REASON_LATER.
 */
#define NAME_REASON_POLICY   "policy: "
#define NAME_REASON_WHOLE_VM "all vCPUs have it"
#define NAME_REASON_LATER    "for vCPUs that are added later"

/* HostModule, GuestModule, Libvirt. */
#define NAME_PRESENT   "present"
#define NAME_ABSENT    "absent"
#define NAME_CONNECTED "connected"

/* SwappedSource, besides NAME_UNKNOWN. */
#define NAME_PROCESS "process"
#define NAME_CGROUP  "cgroup"

/* NoWaitSwapin, besides NAME_OFF and NAME_UNKNOWN. */
#define NAME_NOT_NEEDED	 "not-needed"
#define NAME_ACTIVE	 "active"
#define NAME_UNAVAILABLE "unavailable"

/* GuestEvent. */
#define NAME_POOL_TAKEN	    "pool-taken"
#define NAME_POOL_RETURNED  "pool-returned"
#define NAME_POOL_EXHAUSTED "pool-exhausted"
#define NAME_WAITER_OLD	    "waiter-old"
#define NAME_REPORT_GONE    "report-gone"
#define NAME_SLOT_STUCK	    "slot-stuck"

/* State of a recall. */
#define NAME_RUNNING   "running"
#define NAME_DONE      "done"
#define NAME_CANCELLED "cancelled"
#define NAME_VM_ENDED  "vm-ended"
#define NAME_NO_ROOM   "no-room"
#define NAME_FAILED    "failed"

/* Origin of a recall. */
#define NAME_REQUEST   "request"
#define NAME_AUTOMATIC "automatic"

/* State of AutoRecall, besides NAME_OFF, NAME_NOT_NEEDED and NAME_RUNNING. */
#define NAME_WAITING "waiting"
#define NAME_PAUSED  "paused"

/* Keys of GuestReport. Counters: stats_count_names; figures of the policy: policy_figure_names. */
extern const char *const guest_names[APF_GUEST_A_MAX + 1];

/* Figures of Pressure, and their keys. */
enum pressure_figure {
	PRESSURE_MEMORY_BYTES,
	PRESSURE_SWAP_BYTES,
	PRESSURE_SWAPIN_RATE,	   /* pages per second */
	PRESSURE_REFAULT_RATE,	   /* pages per second that had been evicted not long before */
	PRESSURE_MAJOR_FAULT_RATE, /* per second */
	PRESSURE_SOME_AVG10,	   /* percent */
	PRESSURE_FULL_AVG10,	   /* percent */
	PRESSURE_STALL_RATIO,	   /* of vCPU time */
	PRESSURE_TREND,		   /* change of the share of time spent waiting, per second */
	PRESSURE_SWAPOUT_RATE,	   /* pages per second */
	PRESSURE_SWAPIN_BYTES,	   /* bytes per second */
	PRESSURE_SWAPOUT_BYTES,	   /* bytes per second */
	PRESSURE_FIGURE_MAX = PRESSURE_SWAPOUT_BYTES
};

extern const char *const pressure_figure_names[PRESSURE_FIGURE_MAX + 1];

#endif /* APF_NAMES_H */
