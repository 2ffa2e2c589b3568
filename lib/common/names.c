/* SPDX-License-Identifier: GPL-2.0 */
#include "names.h"

/* clang-format off */
const char *const guest_names[APF_GUEST_A_MAX + 1] = {
	[APF_GUEST_A_AGE_MSEC]		  = "AgeMSec",
	[APF_GUEST_A_POOL_SIZE]		  = "PoolSize",
	[APF_GUEST_A_POOL_IN_USE]	  = "PoolInUse",
	[APF_GUEST_A_POOL_TAKEN]	  = "PoolTaken",
	[APF_GUEST_A_POOL_EXHAUSTED]	  = "PoolExhausted",
	[APF_GUEST_A_SLEEPERS]		  = "Sleepers",
	[APF_GUEST_A_EARLY_WAKES]	  = "EarlyWakes",
	[APF_GUEST_A_RESCUES]		  = "Rescues",
	[APF_GUEST_A_UNKNOWN_TOKENS]	  = "UnknownTokens",
	[APF_GUEST_A_OLDEST_SLEEPER_MSEC] = "OldestSleeperMSec",
	[APF_GUEST_A_WAITS]		  = "Waits",
	[APF_GUEST_A_WAKES]		  = "Wakes",
	[APF_GUEST_A_STUCK]		  = "Stuck",
};

const char *const pressure_figure_names[PRESSURE_FIGURE_MAX + 1] = {
	[PRESSURE_MEMORY_BYTES]	    = "MemoryBytes",
	[PRESSURE_SWAP_BYTES]	    = "SwapBytes",
	[PRESSURE_SWAPIN_RATE]	    = "SwapInRate",
	[PRESSURE_REFAULT_RATE]	    = "RefaultRate",
	[PRESSURE_MAJOR_FAULT_RATE] = "MajorFaultRate",
	[PRESSURE_SOME_AVG10]	    = "SomeAvg10",
	[PRESSURE_FULL_AVG10]	    = "FullAvg10",
	[PRESSURE_STALL_RATIO]	    = "StallRatio",
	[PRESSURE_TREND]	    = "Trend",
	[PRESSURE_SWAPOUT_RATE]	    = "SwapOutRate",
	[PRESSURE_SWAPIN_BYTES]	    = "SwapInBytesRate",
	[PRESSURE_SWAPOUT_BYTES]    = "SwapOutBytesRate",
};
/* clang-format on */
