/* SPDX-License-Identifier: GPL-2.0 */
/* Memory figures of a VM and of the host: their names on the bus and in JSON. */
#ifndef APF_MEMORY_FIGURES_H
#define APF_MEMORY_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

/* Memory of org.apfd.VM1. Bytes, unless the comment says otherwise. */
enum vm_memory {
	VM_MEMORY_LIMIT,
	VM_MEMORY_ROOM,
	VM_MEMORY_HIGH,
	VM_MEMORY_SWAP_LIMIT,
	VM_MEMORY_SWAP_ROOM,
	VM_MEMORY_SWAPPED_IN,	/* total */
	VM_MEMORY_SWAPPED_OUT,	/* total */
	VM_MEMORY_REFAULTS,	/* total, pages */
	VM_MEMORY_ACTIVATIONS,	/* total, pages */
	VM_MEMORY_MAJOR_FAULTS, /* total, faults */
	VM_MEMORY_SOME,		/* total, microseconds */
	VM_MEMORY_FULL,		/* total, microseconds */
	VM_MEMORY_ACTIVE,
	VM_MEMORY_ZSWAP,
	VM_MEMORY_ZSWAPPED,
	VM_MEMORY_ZRAM,
	_VM_MEMORY_MAX
};

/* Memory of org.apfd.Manager1, in the same units. */
enum host_memory_figure {
	HOST_MEMORY_TOTAL,
	HOST_MEMORY_FREE,
	HOST_MEMORY_AVAILABLE,
	HOST_MEMORY_RECLAIMABLE,
	HOST_MEMORY_SWAP_TOTAL,
	HOST_MEMORY_SWAP_FREE,
	HOST_MEMORY_ZSWAP,
	HOST_MEMORY_ZSWAPPED,
	HOST_MEMORY_SWAPPED_IN,	    /* total */
	HOST_MEMORY_SWAPPED_OUT,    /* total */
	HOST_MEMORY_SCANNED,	    /* total, pages */
	HOST_MEMORY_DIRECT_SCANNED, /* total, pages */
	HOST_MEMORY_REFAULTS,	    /* total, pages */
	HOST_MEMORY_SOME,	    /* total, microseconds */
	HOST_MEMORY_FULL,	    /* total, microseconds */
	_HOST_MEMORY_MAX
};

/* Pressure of org.apfd.Manager1. */
enum host_pressure {
	HOST_PRESSURE_SOME_AVG10,    /* percent */
	HOST_PRESSURE_FULL_AVG10,    /* percent */
	HOST_PRESSURE_SWAP_IN_RATE,  /* bytes per second */
	HOST_PRESSURE_SWAP_OUT_RATE, /* bytes per second */
	HOST_PRESSURE_SCAN_RATE,     /* pages per second */
	HOST_PRESSURE_REFAULT_RATE,  /* pages per second */
	_HOST_PRESSURE_MAX
};

/**
 * struct figure_name - names of a figure
 * @bus: key in the dictionary on the bus
 * @json: key in the JSON output of apfctl
 */
struct figure_name {
	const char *bus;
	const char *json;
};

extern const struct figure_name vm_memory_names[_VM_MEMORY_MAX];
extern const struct figure_name host_memory_names[_HOST_MEMORY_MAX];
extern const struct figure_name host_pressure_names[_HOST_PRESSURE_MAX];

enum { MEMORY_FIGURES_MAX = 16 };
_Static_assert((int)_VM_MEMORY_MAX <= (int)MEMORY_FIGURES_MAX &&
		       (int)_HOST_MEMORY_MAX <= (int)MEMORY_FIGURES_MAX,
	       "room for all figures");

/**
 * struct memory_figures - figures of a VM or of the host
 * @known: a bit for each figure that is known
 * @value: by &enum vm_memory or &enum host_memory_figure
 */
struct memory_figures {
	uint64_t known;
	uint64_t value[MEMORY_FIGURES_MAX];
};

static inline bool memory_figure_known(const struct memory_figures *f, unsigned int figure)
{
	return f->known & (UINT64_C(1) << figure);
}

static inline void memory_figure_set(struct memory_figures *f, unsigned int figure, uint64_t value)
{
	f->known |= UINT64_C(1) << figure;
	f->value[figure] = value;
}

/* States of the host's memory, from relaxed to urgent. */
enum memory_state {
	MEMORY_STATE_UNKNOWN,
	MEMORY_STATE_CALM,
	MEMORY_STATE_RECLAIMING,
	MEMORY_STATE_SWAPPING,
	MEMORY_STATE_THRASHING,
	_MEMORY_STATE_MAX
};

extern const char *const memory_state_names[_MEMORY_STATE_MAX];

#endif /* APF_MEMORY_FIGURES_H */
