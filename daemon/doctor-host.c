/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-host.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <uapi/apf_host.h>
#include "swapdev.h"
#include "util.h"

enum { LINE_MAX_BYTES = 256 };

/* Linux 5.13: 2f15d027c05f, before it a guest whose APIC is off loses wake-ups. */
#define KERNEL_SAFE KERNEL(5, 13)
/* 4.14 to 6.5 wait for the read of a random access (b243dcbf2f13 ended that). */
#define KERNEL_WAITS	 KERNEL(4, 14)
#define KERNEL_NO_WAIT	 KERNEL(6, 6)
#define KERNEL(maj, min) ((unsigned int)(maj) << 16 | (unsigned int)(min))

/* First line of a file, without its newline. 0 or -errno. */
static int read_line(char line[static LINE_MAX_BYTES], const char *root, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int read_line(char line[static LINE_MAX_BYTES], const char *root, const char *format, ...)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	va_list args;
	ssize_t n;
	size_t len;

	len = (size_t)snprintf(path, sizeof(path), "%s/", root);
	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	va_start(args, format);
	len += (size_t)vsnprintf(path + len, sizeof(path) - len, format, args);
	va_end(args);
	if (len >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	n = read(fd, line, LINE_MAX_BYTES - 1);
	if (n < 0)
		return -errno;
	line[n] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

static bool exists(const char *root, const char *name)
{
	char path[PATH_MAX];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", root, name) < sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* Y and 1, N and 0: parameters of modules use both. */
static bool is_yes(const char *line)
{
	return line[0] == 'Y' || line[0] == 'y' || line[0] == '1';
}

static unsigned int parse_release(const char *release)
{
	unsigned int maj = 0, min = 0;

	return sscanf(release, "%u.%u", &maj, &min) == 2 ? KERNEL(maj, min) : 0;
}

/* 0 if it cannot be told. */
static unsigned int read_kernel(const struct doctor_host *h, char release[static LINE_MAX_BYTES])
{
	release[0] = '\0';
	if (read_line(release, h->proc_root, "sys/kernel/osrelease") < 0)
		return 0;
	return parse_release(release);
}

static bool kernel_waits(unsigned int kernel)
{
	return kernel >= KERNEL_WAITS && kernel < KERNEL_NO_WAIT;
}

static void check_kvm(const struct doctor_host *h, struct diagnosis *d)
{
	bool amd = exists(h->sys_root, "module/kvm_amd");
	bool intel = exists(h->sys_root, "module/kvm_intel");
	char line[LINE_MAX_BYTES];

	if (!amd && !intel) {
		diag_add(d, CHECK_KVM, DIAG_FAIL, "neither kvm_amd nor kvm_intel is loaded");
		diag_remedy(d, "load the one for this CPU; if it refuses, switch virtualization on "
			       "in the firmware:\n  modprobe kvm_amd || modprobe kvm_intel");
		return;
	}
	diag_add(d, CHECK_KVM, DIAG_OK, "%s is loaded", amd ? "kvm_amd" : "kvm_intel");

	if (read_line(line, h->sys_root, "module/%s/parameters/nested",
		      amd ? "kvm_amd" : "kvm_intel") < 0)
		diag_add(d, CHECK_KVM_NESTED, DIAG_UNKNOWN, "KVM does not say");
	else if (is_yes(line))
		diag_add(d, CHECK_KVM_NESTED, DIAG_OK,
			 "guests may run guests of their own; while they do, the nested guard "
			 "keeps asynchronous page faults from them");
	else
		diag_add(d, CHECK_KVM_NESTED, DIAG_OK, "guests cannot run guests of their own");
}

static void check_kernel(unsigned int kernel, const char *release, struct diagnosis *d)
{
	if (!kernel) {
		diag_add(d, CHECK_KERNEL, DIAG_UNKNOWN, "its release cannot be read");
	} else if (kernel < KERNEL_SAFE) {
		diag_add(d, CHECK_KERNEL, DIAG_FAIL,
			 "Linux %s loses wake-ups of guests (fixed in 5.13 by 2f15d027c05f) and is "
			 "too old for apf_host",
			 release);
		diag_remedy(d, "boot Linux 5.19 or newer");
	} else if (kernel_waits(kernel)) {
		diag_add(d, CHECK_KERNEL, DIAG_OK,
			 "Linux %s waits for the read of a random access to swap by itself; "
			 "no-wait swap-in of apf_host is for that",
			 release);
	} else {
		diag_add(d, CHECK_KERNEL, DIAG_OK, "Linux %s reads swap without waiting by itself",
			 release);
	}
}

/* Is there a file of the module for the running kernel? -1: we are not shown its modules. */
static int module_installed(const struct doctor_host *h, const char *release)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[PATH_MAX], line[512];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s/modules.dep", h->modules_root, release) >=
	    sizeof(path))
		return -1;
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		const char *end = strchr(line, ':');
		const char *name = strstr(line, "/apf_host.ko");

		if (end && name && name < end)
			return 1;
	}
	return 0;
}

static void check_module(const struct doctor_host *h, const char *release, struct diagnosis *d)
{
	char version[LINE_MAX_BYTES];

	if (!exists(h->sys_root, "module/apf_host")) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 "apf_host is not loaded: nothing is counted and no gate can be changed");
		/* apfd's sandbox hides modules from it. */
		if (module_installed(h, release) != 0)
			diag_remedy(d, "load it (build it with DKMS first if it is not found):\n"
				       "  modprobe apf_host");
		else
			diag_remedy(d, "it is not built for this kernel; build it with DKMS (the "
				       "kernel's headers must be there) and load it:\n"
				       "  dkms autoinstall\n  modprobe apf_host");
		return;
	}
	if (h->module_version)
		snprintf(version, sizeof(version), "%s", h->module_version);
	else if (read_line(version, h->sys_root, "module/apf_host/version") < 0)
		version[0] = '\0';
	diag_add(d, CHECK_MODULE, DIAG_OK, "apf_host %s%sis loaded", version,
		 version[0] ? " " : "");
}

static void check_nowait(const struct doctor_host *h, unsigned int kernel, struct diagnosis *d)
{
	char wish[LINE_MAX_BYTES] = "";
	int state = h->nowait;

	if (!exists(h->sys_root, "module/apf_host")) {
		if (kernel_waits(kernel))
			diag_add(d, CHECK_NOWAIT, DIAG_FAIL,
				 "this kernel needs it, and apf_host is not loaded");
		else
			diag_add(d, CHECK_NOWAIT, kernel ? DIAG_OK : DIAG_UNKNOWN,
				 kernel ? "this kernel does not need it" : "not known");
		return;
	}
	/* Nobody asked the module: its parameter says what was wanted, which usually came true. */
	if (state < 0 && kernel) {
		(void)read_line(wish, h->sys_root, "module/apf_host/parameters/nowait_swapin");
		state = !kernel_waits(kernel) ? APF_NOWAIT_NOT_NEEDED
			: streq(wish, "0")    ? (int)APF_NOWAIT_OFF
			: wish[0]	      ? (int)APF_NOWAIT_ACTIVE
					      : -1;
	}
	switch (state) {
	case APF_NOWAIT_NOT_NEEDED:
		diag_add(d, CHECK_NOWAIT, DIAG_OK, "this kernel does not need it");
		break;
	case APF_NOWAIT_ACTIVE:
		diag_add(d, CHECK_NOWAIT, DIAG_OK, "needed by this kernel, and active");
		break;
	case APF_NOWAIT_OFF:
		diag_add(d, CHECK_NOWAIT, DIAG_FAIL,
			 "needed by this kernel, and off: almost every swap-in of a random access "
			 "stops its vCPU");
		diag_remedy(d, "switch it on:\n"
			       "  echo auto > /sys/module/apf_host/parameters/nowait_swapin");
		break;
	case APF_NOWAIT_UNAVAILABLE:
		diag_add(d, CHECK_NOWAIT, DIAG_FAIL,
			 "needed by this kernel, but apf_host cannot place its probe on "
			 "swap_readpage(); the kernel log says why");
		diag_remedy(d, "boot Linux 6.6 or newer, or see the kernel log:\n"
			       "  journalctl -k -g apf_host");
		break;
	default:
		diag_add(d, CHECK_NOWAIT, DIAG_UNKNOWN, "not known");
	}
}

static void check_nested_guard(const struct doctor_host *h, struct diagnosis *d)
{
	char line[LINE_MAX_BYTES];

	if (read_line(line, h->sys_root, "module/apf_host/parameters/nested_guard") < 0) {
		diag_add(d, CHECK_NESTED_GUARD, DIAG_UNKNOWN, "apf_host is not loaded");
	} else if (is_yes(line)) {
		diag_add(d, CHECK_NESTED_GUARD, DIAG_OK,
			 "on: no asynchronous page fault while a vCPU runs a nested guest");
	} else {
		diag_add(d, CHECK_NESTED_GUARD, DIAG_WARN,
			 "off: a guest that runs guests of its own can panic (\"Host injected "
			 "async #PF in kernel mode\")");
		diag_remedy(d, "switch it on:\n"
			       "  echo Y > /sys/module/apf_host/parameters/nested_guard");
	}
}

/* ---- swap ---- */

/* Why a device completes in the thread that asks, which no APF can spare it. */
static const char *memory_kind(const struct swapdev *dev)
{
	return dev->kind == SWAPDEV_ZRAM	    ? "compressed memory (zram)"
	       : strncmp(dev->name, "pmem", 4) == 0 ? "persistent memory"
						    : "a RAM disk";
}

static void check_swap(const struct doctor_host *h, struct diagnosis *d)
{
	_cleanup_free_ struct swapdevs *swap = calloc(1, sizeof(*swap));
	const struct swapdev *disk = NULL, *memory = NULL;
	char off[DIAG_REMEDY_MAX / 2] = "";
	size_t len = 0;
	int r;

	r = swap ? swapdevs_read(swap, h->proc_root, h->sys_root) : -ENOMEM;
	if (r < 0) {
		diag_add(d, CHECK_SWAP, DIAG_UNKNOWN, "cannot be read: %s", strerror(-r));
		return;
	}
	if (swap->n == 0) {
		diag_add(d, CHECK_SWAP, DIAG_WARN,
			 "there is no swap: no anonymous memory of a guest ever leaves memory, and "
			 "APF has next to nothing to do");
		diag_remedy(d, "to overcommit memory, add swap on a disk (DEVICE):\n"
			       "  mkswap DEVICE\n  swapon DEVICE");
		return;
	}
	for (size_t i = 0; i < swap->n; i++) {
		const struct swapdev *dev = &swap->dev[i];

		if (!dev->synchronous) {
			disk = disk ?: dev;
			continue;
		}
		memory = memory ?: dev;
		if (len < sizeof(off))
			len += (size_t)snprintf(off + len, sizeof(off) - len, "\n  swapoff %s",
						dev->path);
	}
	if (!memory) {
		diag_add(d, CHECK_SWAP, DIAG_OK, "%s%s is read asynchronously", disk->path,
			 swap->n > 1 ? ", as all others," : "");
	} else if (!disk) {
		diag_add(d, CHECK_SWAP, DIAG_FAIL,
			 "all swap is in memory: %s is %s, which the vCPU reads itself; APF gains "
			 "nothing there",
			 memory->path, memory_kind(memory));
		diag_remedy(d,
			    "put swap on a disk (DEVICE) and take the one in memory out of "
			    "use:\n  mkswap DEVICE\n  swapon DEVICE%s",
			    off);
	} else {
		diag_add(d, CHECK_SWAP, DIAG_WARN,
			 "some swap is in memory: %s is %s, which the vCPU reads itself; pages "
			 "there gain nothing, those on %s do",
			 memory->path, memory_kind(memory), disk->path);
		diag_remedy(d, "take the one in memory out of use:%s", off);
	}
}

static void check_zswap(const struct doctor_host *h, struct diagnosis *d)
{
	char line[LINE_MAX_BYTES];

	if (read_line(line, h->sys_root, "module/zswap/parameters/enabled") < 0) {
		diag_add(d, CHECK_ZSWAP, DIAG_OK, "this kernel has none");
	} else if (!is_yes(line)) {
		diag_add(d, CHECK_ZSWAP, DIAG_OK, "off");
	} else {
		diag_add(d, CHECK_ZSWAP, DIAG_WARN,
			 "on: what is still in its pool is unpacked by the vCPU itself and gains "
			 "nothing; what went on to the disk does");
		diag_remedy(d, "if stalls of VMs matter more than fewer reads, switch it off:\n"
			       "  echo N > /sys/module/zswap/parameters/enabled");
	}
}

static void check_swappiness(const struct doctor_host *h, struct diagnosis *d)
{
	char line[LINE_MAX_BYTES];

	if (read_line(line, h->proc_root, "sys/vm/swappiness") < 0) {
		diag_add(d, CHECK_SWAPPINESS, DIAG_UNKNOWN, "cannot be read");
	} else if (streq(line, "0")) {
		diag_add(d, CHECK_SWAPPINESS, DIAG_WARN,
			 "vm.swappiness is 0: memory of guests is swapped only when nothing else "
			 "is left, then all at once");
		diag_remedy(d, "let it begin earlier:\n  sysctl -w vm.swappiness=60");
	} else {
		diag_add(d, CHECK_SWAPPINESS, DIAG_OK, "vm.swappiness is %s", line);
	}
}

static void check_read_ahead(const struct doctor_host *h, unsigned int kernel, struct diagnosis *d)
{
	char line[LINE_MAX_BYTES];
	unsigned int order;

	if (read_line(line, h->proc_root, "sys/vm/page-cluster") < 0 ||
	    sscanf(line, "%u", &order) != 1 || order > 16) {
		diag_add(d, CHECK_READ_AHEAD, DIAG_UNKNOWN, "vm.page-cluster cannot be read");
		return;
	}
	if (order == 0 && kernel_waits(kernel) && h->nowait != APF_NOWAIT_ACTIVE) {
		diag_add(d, CHECK_READ_AHEAD, DIAG_WARN,
			 "vm.page-cluster is 0: without no-wait swap-in this kernel then waits for "
			 "every page");
		diag_remedy(d, "see no-wait, or let it read ahead:\n  sysctl -w vm.page-cluster=3");
		return;
	}
	diag_add(d, CHECK_READ_AHEAD, DIAG_OK,
		 "vm.page-cluster is %u: a swap-in reads at most %u page%s", order, 1U << order,
		 order ? "s" : "");
}

static void check_thp(const struct doctor_host *h, struct diagnosis *d)
{
	char line[LINE_MAX_BYTES];
	char *begin, *end;

	if (read_line(line, h->sys_root, "kernel/mm/transparent_hugepage/enabled") < 0) {
		diag_add(d, CHECK_THP, DIAG_OK, "this kernel has no transparent huge pages");
		return;
	}
	begin = strchr(line, '[');
	end = begin ? strchr(begin, ']') : NULL;
	if (end)
		*end = '\0';
	diag_add(d, CHECK_THP, DIAG_OK, "%s%s", begin && end ? begin + 1 : line,
		 strstr(line, "[never") ? ""
					: ": huge pages are split when they are swapped out, and "
					  "come back in small ones");
}

static void check_mglru(const struct doctor_host *h, struct diagnosis *d)
{
	char line[LINE_MAX_BYTES];

	if (read_line(line, h->sys_root, "kernel/mm/lru_gen/enabled") < 0)
		diag_add(d, CHECK_MGLRU, DIAG_OK, "this kernel has none; it is not needed");
	else
		diag_add(d, CHECK_MGLRU, DIAG_OK, "%s; APF works with it and without",
			 strtoul(line, NULL, 0) ? "on" : "off");
}

static void check_cgroup(const struct doctor_host *h, struct diagnosis *d)
{
	char line[LINE_MAX_BYTES];

	if (read_line(line, h->sys_root, "fs/cgroup/cgroup.controllers") < 0) {
		diag_add(d, CHECK_CGROUP, DIAG_WARN,
			 "cgroup v2 is not mounted: apfd cannot see a VM's limits and pressure");
		diag_remedy(d, "boot with it, on the kernel's command line:\n"
			       "  systemd.unified_cgroup_hierarchy=1");
	} else if (!strstr(line, "memory")) {
		diag_add(d, CHECK_CGROUP, DIAG_WARN,
			 "cgroup v2 has no memory controller: apfd cannot see a VM's limits and "
			 "pressure");
		diag_remedy(d, "take it out of cgroup_disable= on the kernel's command line");
	} else {
		diag_add(d, CHECK_CGROUP, DIAG_OK, "cgroup v2 with the memory controller");
	}
}

void doctor_host(const struct doctor_host *h, struct diagnosis *d)
{
	char release[LINE_MAX_BYTES];
	unsigned int kernel = read_kernel(h, release);

	check_kvm(h, d);
	check_kernel(kernel, release, d);
	check_module(h, release, d);
	check_nowait(h, kernel, d);
	check_nested_guard(h, d);
	check_swap(h, d);
	check_zswap(h, d);
	check_swappiness(h, d);
	check_read_ahead(h, kernel, d);
	check_thp(h, d);
	check_mglru(h, d);
	check_cgroup(h, d);
}
