/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages of an apfd gone mad, as apfctl and apf-exporter read them. The bytes build
 * a message: names that are known and names that are not, values of the right type
 * and of wrong ones, lists of any length; libsystemd itself sees to it that it is a
 * D-Bus message at all. What was read is printed as metrics, whatever it is.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "openmetrics.h"
#include "stats.h"
#include "vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	const uint8_t *data;
	size_t left;
};

static const struct {
	const char *name;
	const char *type;
} known[] = {
	{ "Version", "s" },
	{ "HostModule", "s" },
	{ "HostModuleVersion", "s" },
	{ "NoWaitSwapin", "s" },
	{ "NestedGuard", "b" },
	{ "Libvirt", "s" },
	{ "LibvirtURI", "s" },
	{ "ConfigFiles", "as" },
	{ "ConfigError", "s" },
	{ "DryRun", "b" },
	{ "Swap", "aa{sv}" },
	{ "Hooks", "aa{sv}" },
	{ "UUID", "s" },
	{ "Name", "s" },
	{ "LibvirtID", "i" },
	{ "PID", "u" },
	{ "Watched", "b" },
	{ "State", "s" },
	{ "VCPUStates", "as" },
	{ "Since", "t" },
	{ "SwappedBytes", "t" },
	{ "SwappedSource", "s" },
	{ "Counters", "a{st}" },
	{ "Outstanding", "u" },
	{ "GuestModule", "s" },
	{ "GuestReport", "a{su}" },
	{ "PausedVCPUs", "au" },
	{ "AsyncRate", "d" },
	{ "SyncRate", "d" },
	{ "P50USec", "t" },
	{ "P95USec", "t" },
	{ "StallRatio", "d" },
	{ "AsyncHistogram", "at" },
	{ "SyncHistogram", "at" },
	{ "Mode", "s" },
	{ "ModeSource", "s" },
	{ "VCPUModes", "a{us}" },
	{ "Pressure", "a{sd}" },
	{ "CGroup", "s" },
	{ "Manager", "s" },
	{ "ID", "s" },
	{ "VMM", "s" },
	{ "Executable", "s" },
	{ "NotCounted", "as" },
	{ "Index", "u" },
	{ "VCPUID", "u" },
	{ "GuestAPF", "s" },
	{ "Paused", "b" },
	{ "Path", "s" },
	{ "Kind", "s" },
	{ "Size", "t" },
	{ "Used", "t" },
	{ "Reads", "t" },
	{ "ReadLatencyUSec", "t" },
	{ "Synchronous", "b" },
	{ "Name", "s" },
	{ "Placed", "b" },
	{ "Required", "b" },
	{ "On", "s" },
	{ "Error", "s" },
	{ "Takes", "as" },
	{ "NewFigure", "x" },
};

/* Those of one object begin and end where. */
enum {
	HOST_FIRST = 0,
	VM_FIRST = 12,
	VM_END = 41,
	VCPU_FIRST = 41,
	VCPU_END = 45,
	SWAP_FIRST = 45,
	SWAP_END = 52,
	HOOK_FIRST = 52,
	HOOK_END = 58
};

static const char *const types[] = {
	"s",  "b",     "i",	"u",	 "t",	  "d",	    "as", "au",
	"at", "a{st}", "a{su}", "a{sd}", "a{us}", "aa{sv}", "x",  "o"
};

static uint8_t take(struct source *s)
{
	if (s->left == 0)
		return 0;
	s->left--;
	return *s->data++;
}

static uint64_t take_number(struct source *s)
{
	uint64_t value = 0;

	/* Small ones are the usual ones. */
	for (int n = take(s) % 9; n > 0; n--)
		value = value << 8 | take(s);
	return value;
}

static const char *take_text(struct source *s)
{
	static char text[512];
	static const char *const words[] = { "present",	  "absent", "unknown", "on",
					     "off",	  "mixed",  "auto",    "",
					     "connected", "user",   "\"}\n\\", "\u202e" };
	uint8_t n = take(s);
	size_t i;

	if (n < ELEMENTSOF(words))
		return words[n];
	for (i = 0; i < n % 64u; i++) {
		text[i] = (char)(take(s) & 0x7f);
		if (!text[i])
			break;
	}
	text[i] = '\0';
	/* A long name. */
	if (n > 250)
		for (; i < 400; i++)
			text[i] = i % 2 ? 'x' : '"';
	return text;
}

static void put(struct source *s, sd_bus_message *m, const char *type);

static void put_dictionary(struct source *s, sd_bus_message *m, size_t first, size_t end)
{
	sd_bus_message_open_container(m, 'a', "{sv}");
	for (size_t i = first; i < end; i++) {
		uint8_t odd = take(s);
		const char *type = known[i].type;

		/* Now and then one is missing, or is something else. */
		if (odd == 0xff)
			continue;
		if (odd == 0xfe)
			type = types[take(s) % ELEMENTSOF(types)];
		sd_bus_message_open_container(m, 'e', "sv");
		sd_bus_message_append_basic(m, 's', odd == 0xfd ? take_text(s) : known[i].name);
		sd_bus_message_open_container(m, 'v', type);
		put(s, m, type);
		sd_bus_message_close_container(m);
		sd_bus_message_close_container(m);
	}
	sd_bus_message_close_container(m);
}

static const char *take_key(struct source *s)
{
	static const char *const guest[] = { "AgeMSec",		  "PoolSize",	   "PoolInUse",
					     "PoolTaken",	  "PoolExhausted", "Sleepers",
					     "EarlyWakes",	  "Rescues",	   "UnknownTokens",
					     "OldestSleeperMSec", "Waits",	   "Wakes",
					     "Stuck",		  "MemoryBytes",   "SomeAvg10",
					     "Trend" };
	uint8_t n = take(s);

	if (n < _COUNTER_MAX)
		return stats_count_names[counter_names[n].stat];
	n -= _COUNTER_MAX;
	return n < ELEMENTSOF(guest) ? guest[n] : take_text(s);
}

static void put_basic(struct source *s, sd_bus_message *m, char type)
{
	uint64_t number;
	int flag;
	double real;

	switch (type) {
	case 's':
		sd_bus_message_append_basic(m, 's', take_text(s));
		break;
	case 'o':
		sd_bus_message_append_basic(m, 'o', "/org/apfd");
		break;
	case 'b':
		flag = take(s) & 1;
		sd_bus_message_append_basic(m, 'b', &flag);
		break;
	case 'd':
		number = take_number(s);
		memcpy(&real, &number, sizeof(real));
		sd_bus_message_append_basic(m, 'd', &real);
		break;
	default:
		number = take_number(s);
		sd_bus_message_append_basic(m, type, &number);
	}
}

static void put(struct source *s, sd_bus_message *m, const char *type)
{
	unsigned int n = take(s) % 80;

	if (type[0] != 'a') {
		put_basic(s, m, type[0]);
		return;
	}
	if (strcmp(type, "aa{sv}") == 0) {
		sd_bus_message_open_container(m, 'a', "a{sv}");
		for (n %= 4; n > 0; n--) {
			bool hook = take(s) & 1;

			put_dictionary(s, m, hook ? HOOK_FIRST : SWAP_FIRST,
				       hook ? HOOK_END : SWAP_END);
		}
		sd_bus_message_close_container(m);
		return;
	}
	sd_bus_message_open_container(m, 'a', type + 1);
	if (strcmp(type, "a{st}") == 0 && n > 0)
		for (unsigned int i = 0; i < _COUNTER_MAX; i++) {
			const char *name = stats_count_names[counter_names[i].stat];

			sd_bus_message_open_container(m, 'e', "st");
			sd_bus_message_append_basic(m, 's', name);
			put_basic(s, m, 't');
			sd_bus_message_close_container(m);
		}
	for (; n > 0 && s->left > 0; n--) {
		if (type[1] != '{') {
			put_basic(s, m, type[1]);
			continue;
		}
		sd_bus_message_open_container(m, 'e', (char[]){ type[2], type[3], 0 });
		if (type[2] == 's')
			sd_bus_message_append_basic(m, 's', take_key(s));
		else
			put_basic(s, m, type[2]);
		put_basic(s, m, type[3]);
		sd_bus_message_close_container(m);
	}
	sd_bus_message_close_container(m);
}

static void put_objects(struct source *s, sd_bus_message *m)
{
	sd_bus_message_open_container(m, 'a', "{oa{sa{sv}}}");
	for (unsigned int n = take(s) % 4; n > 0; n--) {
		sd_bus_message_open_container(m, 'e', "oa{sa{sv}}");
		sd_bus_message_append_basic(m, 'o', "/org/apfd/vm/x");
		sd_bus_message_open_container(m, 'a', "{sa{sv}}");
		for (unsigned int k = take(s) % 3; k > 0; k--) {
			sd_bus_message_open_container(m, 'e', "sa{sv}");
			sd_bus_message_append_basic(m, 's',
						    take(s) == 0xff ? "org.other" : "org.apfd.VM1");
			put_dictionary(s, m, VM_FIRST, VM_END);
			sd_bus_message_close_container(m);
		}
		sd_bus_message_close_container(m);
		sd_bus_message_close_container(m);
	}
	sd_bus_message_close_container(m);
}

/* The reply of ListVMs(), from the same bytes. */
static void put_listed(struct source s, sd_bus_message *m)
{
	sd_bus_message_open_container(m, 'a', "{oa{sv}}");
	for (unsigned int n = take(&s) % 4; n > 0; n--) {
		sd_bus_message_open_container(m, 'e', "oa{sv}");
		sd_bus_message_append_basic(m, 'o', "/org/apfd/vm/x");
		put_dictionary(&s, m, VM_FIRST, VM_END);
		sd_bus_message_close_container(m);
	}
	sd_bus_message_close_container(m);
}

static void put_vcpus(struct source *s, sd_bus_message *m)
{
	sd_bus_message_open_container(m, 'a', "a{sv}");
	for (unsigned int n = take(s) % 4; n > 0; n--)
		put_dictionary(s, m, VM_FIRST, VCPU_END);
	sd_bus_message_close_container(m);
}

/* A bus that never says a word; messages need one. */
static sd_bus *quiet_bus(void)
{
	static sd_bus *bus;
	int fds[2];

	if (bus)
		return bus;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0 ||
	    sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
		abort();
	return bus;
}

static sd_bus_message *message_new(void)
{
	sd_bus_message *m;

	if (sd_bus_message_new_method_call(quiet_bus(), &m, "a.b", "/", "a.b", "C") < 0)
		abort();
	return m;
}

static void seal(sd_bus_message *m)
{
	if (sd_bus_message_seal(m, 1, 0) < 0 || sd_bus_message_rewind(m, true) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *hosts = message_new();
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *objects = message_new();
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *listed = message_new();
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *cpus = message_new();
	_cleanup_(host_clear) struct host host = {};
	_cleanup_(vm_list_clear) struct vm_list vms = {}, others = {};
	struct vcpu_array vcpus = {};
	struct source s = { data, size };
	static FILE *null;
	const char *bad;
	bool good;

	put_dictionary(&s, hosts, HOST_FIRST, VM_FIRST);
	put_listed(s, listed);
	put_objects(&s, objects);
	put_vcpus(&s, cpus);
	seal(hosts);
	seal(objects);
	seal(listed);
	seal(cpus);

	good = host_read(hosts, &host, &bad) >= 0;
	good = vm_list_read(objects, &vms, &bad) >= 0 && good;
	(void)vm_list_read(listed, &others, &bad);
	good = vcpu_array_read(cpus, &vcpus, &bad) >= 0 && good;
	if (!null)
		null = fopen("/dev/null", "w");
	if (good && null) {
		struct openmetrics metrics = {
			.host = &host,
			.vms = &vms,
			.n_vms_shown = vms.n < 1 ? vms.n : 1,
			.vcpus = &vcpus,
			.printable = size % 2,
		};

		if (openmetrics_print(null, &metrics, (enum openmetrics_format)(size / 2 % 2)) < 0)
			abort();
	}
	vcpu_array_clear(&vcpus);
	return 0;
}
