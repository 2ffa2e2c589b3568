/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The settings of a VM in libvirt's metadata, on libvirt's test driver; reading them fails when the
 * test says so. test:///default is one host for all connections of a process.
 */
#include "unit.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "conf.h"
#include "context.h"
#include "names.h"
#include "vm.h"
#include "vm-settings.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)
#define UUID	      "6695eb01-f6a4-8304-79aa-97f2502e193f" /* of the driver's domain "test" */

static struct context context;
static struct vm *vm;
static char metadata[256];
static bool reading_fails;
static int n_listed, n_read, n_failed;

/* In the place of libvirt's own; the worker's thread calls it. */
char *virDomainGetMetadata(virDomainPtr dom, int type, const char *uri, unsigned int flags)
{
	return reading_fails ? NULL : strdup(metadata);
}

static void on_state(enum virt_state state, void *userdata)
{
}

static void on_listed(const struct virt_domain *domains, size_t n, bool has_pid_files,
		      void *userdata)
{
	n_listed++;
}

static void on_metadata(const char *uuid, const char *xml, void *userdata)
{
	assert_string_equal(uuid, UUID);
	(void)vm_apply_metadata(vm, xml);
	n_read++;
}

static void on_read_failed(const char *uuid, const char *text, void *userdata)
{
	assert_string_equal(uuid, UUID);
	vm_metadata_read_failed(vm, text);
	n_failed++;
}

static const struct virt_ops ops = {
	.state_changed = on_state,
	.listed = on_listed,
	.metadata = on_metadata,
	.read_failed = on_read_failed,
};

static void run_until(const int *counter, int want)
{
	uint64_t end_usec = clock_usec(CLOCK_MONOTONIC) + PATIENCE_USEC;

	while (*counter < want) {
		assert_true(clock_usec(CLOCK_MONOTONIC) < end_usec);
		assert_true(sd_event_run(context.event, 10 * USEC_PER_MSEC) >= 0);
	}
}

static void set_metadata(const char *mode)
{
	snprintf(metadata, sizeof(metadata), "<settings xmlns='" METADATA_URI "' mode='%s'/>", mode);
}

/* The operator's change, which libvirt reports once. */
static void change_metadata(const char *mode)
{
	virConnectPtr conn = virConnectOpen("test:///default");
	virDomainPtr dom = virDomainLookupByUUIDString(conn, UUID);

	assert_non_null(dom);
	set_metadata(mode);
	assert_int_equal(virDomainSetMetadata(dom, VIR_DOMAIN_METADATA_ELEMENT, "<settings/>", "apf",
					      METADATA_URI, VIR_DOMAIN_AFFECT_LIVE),
			 0);
	virDomainFree(dom);
	virConnectClose(conn);
}

static int setup(void **state)
{
	struct virt_domain d = { .uuid = UUID, .name = (char *)"test", .id = 1 };

	reading_fails = false;
	n_listed = n_read = n_failed = 0;
	registry_init(&context.vms);
	context.conf = calloc(1, sizeof(*context.conf));
	assert_true(sd_event_new(&context.event) >= 0);
	assert_int_equal(vm_new(&context, &d, true, &vm), 0);
	assert_int_equal(virt_new(context.event, "test:///default", &ops, NULL, &context.virt), 0);
	assert_int_equal(virt_start(context.virt), 0);
	run_until(&n_listed, 1);
	/* The state follows the listing. */
	while (virt_state(context.virt) != VIRT_CONNECTED)
		assert_true(sd_event_run(context.event, 10 * USEC_PER_MSEC) >= 0);
	return 0;
}

static int teardown(void **state)
{
	context.virt = virt_free(context.virt);
	vm = vm_free(vm);
	context.event = sd_event_unref(context.event);
	free(context.conf);
	return 0;
}

static void test_event_that_cannot_be_read(void **state)
{
	set_metadata("pv");
	vm_settings_tick(vm);
	run_until(&n_read, 1);
	assert_int_equal(vm_mode(vm), POLICY_MODE_PV);
	/* Nothing more to do. */
	vm->settings.read_again_usec = 0;
	vm_settings_tick(vm);
	assert_int_equal(vm->settings.read_again_usec, 0);

	reading_fails = true;
	change_metadata("off");
	run_until(&n_failed, 1);
	assert_int_equal(vm_mode(vm), POLICY_MODE_PV);
	/* Not at once: libvirt may be in trouble. */
	assert_true(vm->settings.read_again_usec > clock_usec(CLOCK_MONOTONIC));
	vm_settings_tick(vm);
	vm->settings.read_again_usec = 0;
	vm_settings_tick(vm);
	run_until(&n_failed, 2);

	reading_fails = false;
	vm->settings.read_again_usec = 0;
	vm_settings_tick(vm);
	run_until(&n_read, 2);
	assert_int_equal(vm_mode(vm), POLICY_MODE_OFF);
	assert_string_equal(vm_mode_source(vm), "metadata");
	vm->settings.read_again_usec = 0;
	vm_settings_tick(vm);
	assert_int_equal(vm->settings.read_again_usec, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_event_that_cannot_be_read, setup, teardown),
	};

	return cmocka_run_group_tests_name("vm-settings", tests, NULL, NULL);
}
