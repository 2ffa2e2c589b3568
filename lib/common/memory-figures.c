/* SPDX-License-Identifier: GPL-2.0 */
#include "memory-figures.h"

#include "names.h"

/* clang-format off */
const struct figure_name vm_memory_names[_VM_MEMORY_MAX] = {
	[VM_MEMORY_LIMIT]	   = { "LimitBytes", "limit_bytes" },
	[VM_MEMORY_ROOM]	   = { "RoomBytes", "room_bytes" },
	[VM_MEMORY_HIGH]	   = { "HighBytes", "high_bytes" },
	[VM_MEMORY_SWAP_LIMIT]	   = { "SwapLimitBytes", "swap_limit_bytes" },
	[VM_MEMORY_SWAP_ROOM]	   = { "SwapRoomBytes", "swap_room_bytes" },
	[VM_MEMORY_SWAPPED_IN]	   = { "SwappedInBytes", "swapped_in_bytes" },
	[VM_MEMORY_SWAPPED_OUT]	   = { "SwappedOutBytes", "swapped_out_bytes" },
	[VM_MEMORY_REFAULTS]	   = { "RefaultPages", "refault_pages" },
	[VM_MEMORY_ACTIVATIONS]	   = { "ActivationPages", "activation_pages" },
	[VM_MEMORY_MAJOR_FAULTS]   = { "MajorFaults", "major_faults" },
	[VM_MEMORY_SOME]	   = { "SomeUSec", "some_usec" },
	[VM_MEMORY_FULL]	   = { "FullUSec", "full_usec" },
	[VM_MEMORY_ACTIVE]	   = { "ActiveBytes", "active_bytes" },
	[VM_MEMORY_ZSWAP]	   = { "ZswapBytes", "zswap_bytes" },
	[VM_MEMORY_ZSWAPPED]	   = { "ZswappedBytes", "zswapped_bytes" },
	[VM_MEMORY_ZRAM]	   = { "ZramBytes", "zram_bytes" },
};

const struct figure_name host_memory_names[_HOST_MEMORY_MAX] = {
	[HOST_MEMORY_TOTAL]	     = { "TotalBytes", "total_bytes" },
	[HOST_MEMORY_FREE]	     = { "FreeBytes", "free_bytes" },
	[HOST_MEMORY_AVAILABLE]	     = { "AvailableBytes", "available_bytes" },
	[HOST_MEMORY_RECLAIMABLE]    = { "ReclaimableBytes", "reclaimable_bytes" },
	[HOST_MEMORY_SWAP_TOTAL]     = { "SwapTotalBytes", "swap_total_bytes" },
	[HOST_MEMORY_SWAP_FREE]	     = { "SwapFreeBytes", "swap_free_bytes" },
	[HOST_MEMORY_ZSWAP]	     = { "ZswapBytes", "zswap_bytes" },
	[HOST_MEMORY_ZSWAPPED]	     = { "ZswappedBytes", "zswapped_bytes" },
	[HOST_MEMORY_SWAPPED_IN]     = { "SwappedInBytes", "swapped_in_bytes" },
	[HOST_MEMORY_SWAPPED_OUT]    = { "SwappedOutBytes", "swapped_out_bytes" },
	[HOST_MEMORY_SCANNED]	     = { "ScannedPages", "scanned_pages" },
	[HOST_MEMORY_DIRECT_SCANNED] = { "DirectScannedPages", "direct_scanned_pages" },
	[HOST_MEMORY_REFAULTS]	     = { "RefaultPages", "refault_pages" },
	[HOST_MEMORY_SOME]	     = { "SomeUSec", "some_usec" },
	[HOST_MEMORY_FULL]	     = { "FullUSec", "full_usec" },
};

const struct figure_name host_pressure_names[_HOST_PRESSURE_MAX] = {
	[HOST_PRESSURE_SOME_AVG10]    = { "SomeAvg10", "some_avg10_percent" },
	[HOST_PRESSURE_FULL_AVG10]    = { "FullAvg10", "full_avg10_percent" },
	[HOST_PRESSURE_SWAP_IN_RATE]  = { "SwapInBytesRate", "swapin_bytes_per_sec" },
	[HOST_PRESSURE_SWAP_OUT_RATE] = { "SwapOutBytesRate", "swapout_bytes_per_sec" },
	[HOST_PRESSURE_SCAN_RATE]     = { "ScanRate", "scanned_pages_per_sec" },
	[HOST_PRESSURE_REFAULT_RATE]  = { "RefaultRate", "refaults_per_sec" },
};

const char *const memory_state_names[_MEMORY_STATE_MAX] = {
	[MEMORY_STATE_UNKNOWN]	  = NAME_UNKNOWN,
	[MEMORY_STATE_CALM]	  = "calm",
	[MEMORY_STATE_RECLAIMING] = "reclaiming",
	[MEMORY_STATE_SWAPPING]	  = "swapping",
	[MEMORY_STATE_THRASHING]  = "thrashing",
};
/* clang-format on */
