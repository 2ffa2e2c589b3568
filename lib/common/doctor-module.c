/* SPDX-License-Identifier: GPL-2.0 */
#include "doctor-checks-host.h"

#include <errno.h>

#include <uapi/apf_host.h>
#include "host-file.h"
#include "stats.h"
#include "util.h"

static bool module_is_loaded(const struct doctor_host *h)
{
	return host_exists(h->roots.sys, "module/apf_host");
}

#define NOT_LOADED "apf_host is not loaded: nothing is counted and no gate can be changed"

/* Writes the command that installs the headers of kernel @k; "" if it is not known. */
static void headers_command(const struct host_kernel *k, char *command, size_t size)
{
	static const struct {
		const char *mark, *command;
	} rows[] = {
		{ "-pve", "apt install proxmox-headers-%s" },
		{ ".el", "dnf install kernel-devel-%s" },
		{ ".fc", "dnf install kernel-devel-%s" },
		{ ".oe", "dnf install kernel-devel-%s" },
		{ "-default", "zypper install kernel-default-devel" },
		{ "-generic", "apt install linux-headers-%s" },
		{ "-amd64", "apt install linux-headers-%s" },
		{ "-arch", "pacman -S linux-headers" },
	};

	command[0] = '\0';
	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		const char *at = strstr(rows[i].command, "%s");

		if (!strstr(k->release, rows[i].mark))
			continue;
		if (at)
			snprintf(command, size, "  %.*s%s\n", (int)(at - rows[i].command),
				 rows[i].command, k->release);
		else
			snprintf(command, size, "  %s\n", rows[i].command);
		return;
	}
}

/* The module's file exists, but the kernel accepts only signed modules. */
static void diagnose_signing(const struct doctor_host *h, const struct host_module *m,
			     enum host_signing signing, struct diagnosis *d)
{
	const char *who = signing == HOST_SIGNING_LOCKDOWN ? "this machine (Secure Boot, lockdown)"
							   : "this kernel (module.sig_enforce)";
	const char *version = m->version[0] ? m->version : "VERSION";
	struct host_key key;

	host_key_read(&h->roots, &key);
	if (m->signature == 0) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it is built, but not signed, and %s accepts only signed "
				    "modules",
			 who);
		if (key.path[0])
			diag_remedy(d,
				    "let DKMS build and sign it again, with a key that the "
				    "firmware knows:\n  mokutil --import %s\n"
				    "  dkms build --force apf-host/%s\n"
				    "  dkms install --force apf-host/%s\n  reboot",
				    key.path, version, version);
		else
			diag_remedy(d, "sign it with a key that the firmware knows; DKMS signs the "
				       "modules that it builds, if openssl is installed");
	} else if (key.enrolled == 1) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it is built, %s accepts only signed modules, and the "
				    "firmware knows the key of DKMS (%s)",
			 who, key.path);
		diag_remedy(d, "load it; if it is refused, it was signed with another key, and "
			       "the kernel log says so:\n  modprobe apf_host\n"
			       "  journalctl -k -g 'module|apf_host'");
	} else if (key.path[0]) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it is built, but %s accepts only modules that are signed "
				    "with a known key, and the key of DKMS %s enrolled",
			 who, key.enrolled == 0 ? "is not" : "may not be");
		diag_remedy(d,
			    "enrol the key; mokutil asks for a password, and the firmware asks for "
			    "it once more at the next boot (\"Enroll MOK\"):\n"
			    "  mokutil --import %s\n  reboot",
			    key.path);
	} else {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it is built, but %s accepts only modules that are signed "
				    "with a known key",
			 who);
		diag_remedy(d, "enrol the key of its signature (KEY.der), or sign it with an "
			       "enrolled key:\n  mokutil --import KEY.der\n  reboot");
	}
}

/* The module is not built for this kernel: finds the reason, and whether it can be built. */
static void diagnose_unbuilt(const struct host_kernel *k, const struct host_module *m,
			     struct diagnosis *d)
{
	bool tested =
		!k->hybrid[0] && k->number >= HOST_KERNEL_OLDEST && k->number <= HOST_KERNEL_NEWEST;
	char headers[2 * HOST_KERNEL_RELEASE_MAX], lacking[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < m->n_lacking && len < sizeof(lacking); i++)
		len += (size_t)snprintf(lacking + len, sizeof(lacking) - len, "%s%s", i ? ", " : "",
					m->lacking[i]);
	headers_command(k, headers, sizeof(headers));
	if (m->n_lacking > 0) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it cannot be built for this kernel, which lacks the options "
				    "%s",
			 lacking);
		diag_remedy(d, "boot a kernel with these options, Linux " HOST_KERNEL_TESTED);
	} else if (m->log[0]) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL, NOT_LOADED "; DKMS %s",
			 m->skipped ? "skipped it for this kernel, because a trial build failed"
				    : "tried to build it for this kernel and failed");
		diag_remedy(d,
			    "see the reason; the build fails again until it is fixed%s:\n"
			    "  tail -n 30 %s",
			    tested ? "" : ", and apf_host was not tested with this kernel", m->log);
	} else if (m->dkms == 0) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it is not built for this kernel, and DKMS does not know it");
		if (tested)
			diag_remedy(d,
				    "install the DKMS package; or, in the sources of apf%s:\n"
				    "%s  make dkms-install\n  dkms add apf-host/%s\n"
				    "  dkms autoinstall\n  modprobe apf_host",
				    m->headers == 0 ? " (the kernel's headers must be there)" : "",
				    m->headers == 0 ? headers : "", APF_VERSION);
		else
			diag_remedy(d, "boot Linux " HOST_KERNEL_TESTED);
	} else if (!tested) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it is not built for this kernel and was not tested with it: "
				    "if the kernel lacks something that it needs, DKMS skips it");
		diag_remedy(d, "boot Linux " HOST_KERNEL_TESTED);
	} else if (m->headers == 0) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it is not built for this kernel, and the kernel's headers "
				    "are not installed");
		diag_remedy(d,
			    "install the headers, then build and load it:\n%s  dkms autoinstall\n"
			    "  modprobe apf_host",
			    headers);
	} else {
		diag_add(d, CHECK_MODULE, DIAG_FAIL, NOT_LOADED);
		diag_remedy(d, "it is not built for this kernel; build it with DKMS and load it:\n"
			       "  dkms autoinstall\n  modprobe apf_host");
	}
}

static void check_module(const struct doctor_host *h, const struct host_kernel *k,
			 struct diagnosis *d)
{
	char version[HOST_LINE_MAX];
	enum host_signing signing;
	struct host_module m;

	if (module_is_loaded(h)) {
		if (h->module_version)
			snprintf(version, sizeof(version), "%s", h->module_version);
		else if (host_line(version, h->roots.sys, "module/apf_host/version") < 0)
			version[0] = '\0';
		diag_add(d, CHECK_MODULE, DIAG_OK, "apf_host %s%sis loaded", version,
			 version[0] ? " " : "");
		return;
	}
	host_module_read(&h->roots, k, &m);
	signing = host_kernel_signing(&h->roots);
	if (!k->hybrid[0] && k->number && k->number < KERNEL_SAFE) {
		diag_add(d, CHECK_MODULE, DIAG_FAIL,
			 NOT_LOADED "; it does not support this kernel");
		diag_remedy(d, "see kernel");
	} else if (m.listed == 1 && signing != HOST_SIGNING_FREE) {
		diagnose_signing(h, &m, signing, d);
	} else if (m.listed == 0) {
		diagnose_unbuilt(k, &m, d);
	} else {
		diag_add(d, CHECK_MODULE, DIAG_FAIL, NOT_LOADED);
		/* In the sandbox of apfd the modules' folder is hidden, so m.listed is -1. */
		diag_remedy(d, m.listed == 1
				       ? "load it:\n  modprobe apf_host"
				       : "load it; if it is refused, the kernel log says why:\n"
					 "  modprobe apf_host\n  journalctl -k -g apf_host");
	}
}

/* ---- hooks of the module ---- */

static void diagnose_hook(const struct hook *hook, struct diagnosis *d)
{
	const struct hook_row *row = hook_row(hook->id);
	char name[HOOK_NAME_MAX], takes[256] = "";
	const char *effect = row && row->effect ? row->effect : "";
	size_t len = 0;

	for (unsigned int i = 0; row && i < _STATS_COUNT_MAX && len < sizeof(takes); i++)
		if ((row->takes & STATS_BIT(i)) && stats_count_names[i])
			len += (size_t)snprintf(takes + len, sizeof(takes) - len, "%s%s",
						len ? ", " : "", stats_count_names[i]);
	diag_add(d, CHECK_HOOKS, row && row->required ? DIAG_FAIL : DIAG_WARN,
		 "%s cannot be placed%s%s%s: %s%s%s%s%s%s", hook_name(hook->id, name),
		 hook->on[0] ? " (" : "", hook->on, hook->on[0] ? ")" : "", hook_error(hook->error),
		 takes[0] ? "; not counted: " : "", takes, effect[0] ? "; " : "", effect,
		 row ? "" : "; this program is too old to know which figures need this hook");
	diag_remedy(d, "%s",
		    hook->error == -EBUSY
			    ? "find the tracer or live patch that uses the function, and end it; "
			      "and check that ftrace is on:\n"
			      "  cat /sys/kernel/tracing/enabled_functions\n"
			      "  sysctl kernel.ftrace_enabled=1"
			    : "boot another kernel, Linux " HOST_KERNEL_TESTED
			      "; the kernel log has the messages of apf_host:\n"
			      "  journalctl -k -g apf_host");
}

static void check_hooks(const struct doctor_host *h, struct diagnosis *d)
{
	size_t missing = 0;

	if (!module_is_loaded(h)) {
		diag_add(d, CHECK_HOOKS, DIAG_UNKNOWN, "apf_host is not loaded");
	} else if (!h->hooks && h->why_not_asked == -EPERM) {
		diag_add(d, CHECK_HOOKS, DIAG_FAIL,
			 "apfd may not query apf_host: it lacks the capability CAP_NET_ADMIN");
		diag_remedy(d, "check the changes of its unit:\n  systemctl cat apfd");
	} else if (!h->hooks && h->why_not_asked) {
		diag_add(d, CHECK_HOOKS, DIAG_UNKNOWN, "apf_host does not answer: %s",
			 strerror(-h->why_not_asked));
	} else if (!h->hooks) {
		diag_add(d, CHECK_HOOKS, DIAG_UNKNOWN,
			 "not known: only apfd, which has CAP_NET_ADMIN, can query apf_host");
	} else if (!h->hooks->reported) {
		diag_add(d, CHECK_HOOKS, DIAG_OK,
			 "this apf_host does not report hooks: all its counters work");
	} else {
		for (size_t i = 0; i < h->hooks->n; i++) {
			if (h->hooks->hook[i].placed)
				continue;
			missing++;
			diagnose_hook(&h->hooks->hook[i], d);
		}
		if (missing == 0)
			diag_add(d, CHECK_HOOKS, DIAG_OK, "all %zu can be placed", h->hooks->n);
	}
}

static void check_nowait(const struct doctor_host *h, const struct host_kernel *k,
			 struct diagnosis *d)
{
	int waits = host_kernel_waits(&h->roots, k);
	char parameter[HOST_LINE_MAX] = "";
	int state = h->nowait;

	if (!module_is_loaded(h)) {
		if (waits == 1)
			diag_add(d, CHECK_NOWAIT, DIAG_FAIL,
				 "this kernel needs it, and apf_host is not loaded");
		else if (waits == 0)
			diag_add(d, CHECK_NOWAIT, DIAG_OK, "this kernel does not need it");
		else
			diag_add(d, CHECK_NOWAIT, DIAG_UNKNOWN,
				 k->hybrid[0] ? "only apf_host can find out whether this kernel "
						"needs it, and it is not loaded"
					      : "not known");
		return;
	}
	/* The module was not queried: assume that the setting of its parameter has worked. */
	if (state < 0 && waits >= 0) {
		(void)host_line(parameter, h->roots.sys,
				"module/apf_host/parameters/nowait_swapin");
		state = waits == 0		? APF_NOWAIT_NOT_NEEDED
			: streq(parameter, "0") ? (int)APF_NOWAIT_OFF
			: parameter[0]		? (int)APF_NOWAIT_ACTIVE
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
	char line[HOST_LINE_MAX];

	if (host_line(line, h->roots.sys, "module/apf_host/parameters/nested_guard") < 0) {
		diag_add(d, CHECK_NESTED_GUARD, DIAG_UNKNOWN, "apf_host is not loaded");
	} else if (host_says_yes(line)) {
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

void doctor_host_module(const struct doctor_host *h, const struct host_kernel *k,
			struct diagnosis *d)
{
	check_module(h, k, d);
	check_hooks(h, d);
	check_nowait(h, k, d);
	check_nested_guard(h, d);
}
