/* SPDX-License-Identifier: GPL-2.0 */
#include "unit.h"

#include <errno.h>

#include "settings.h"

static struct settings s;

static int setup(void **state)
{
	s = SETTINGS_NONE;
	return 0;
}

static int teardown(void **state)
{
	settings_done(&s);
	return 0;
}

/* "auto 0:off 3:on", or what @set is. */
static char *text_of(const struct settings *set)
{
	static char text[512];
	size_t n;

	n = (size_t)snprintf(text, sizeof(text), "%s", settings_mode_to_string(set->mode));
	for (size_t i = 0; i < set->n_vcpus; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %u:%s", set->vcpus[i].index,
				      settings_mode_to_string(set->vcpus[i].mode));
	return text;
}

static void test_overrides(void **state)
{
	assert_true(settings_empty(&s));
	assert_int_equal(settings_set_vcpu(&s, 3, POLICY_MODE_ON), 0);
	assert_int_equal(settings_set_vcpu(&s, 0, POLICY_MODE_OFF), 0);
	assert_int_equal(settings_set_vcpu(&s, 2, POLICY_MODE_PV), 0);
	assert_int_equal(settings_set_vcpu(&s, 3, POLICY_MODE_AUTO), 0);
	assert_string_equal(text_of(&s), "default 0:off 2:pv 3:auto");
	assert_int_equal(settings_vcpu(&s, 2), POLICY_MODE_PV);
	assert_int_equal(settings_vcpu(&s, 1), SETTINGS_UNSET);
	assert_int_equal(settings_vcpu(&s, 4), SETTINGS_UNSET);
	assert_int_equal(settings_set_vcpu(&s, 2, SETTINGS_UNSET), 0);
	assert_int_equal(settings_set_vcpu(&s, 1, SETTINGS_UNSET), 0);
	assert_string_equal(text_of(&s), "default 0:off 3:auto");
	assert_int_equal(settings_set_vcpu(&s, 4096, POLICY_MODE_ON), -ERANGE);
	settings_set(&s, POLICY_MODE_PV);
	assert_string_equal(text_of(&s), "pv");
	settings_set(&s, SETTINGS_UNSET);
	assert_true(settings_empty(&s));
}

static void test_copy_and_equal(void **state)
{
	_cleanup_(settings_done) struct settings copy = SETTINGS_NONE;

	settings_set(&s, POLICY_MODE_AUTO);
	assert_int_equal(settings_set_vcpu(&s, 7, POLICY_MODE_ON), 0);
	assert_int_equal(settings_copy(&s, &copy), 0);
	assert_true(settings_equal(&s, &copy));
	assert_int_equal(settings_set_vcpu(&copy, 7, POLICY_MODE_OFF), 0);
	assert_false(settings_equal(&s, &copy));
	assert_int_equal(settings_set_vcpu(&copy, 7, SETTINGS_UNSET), 0);
	assert_false(settings_equal(&s, &copy));
}

static void test_list(void **state)
{
	static const struct {
		const char *list;
		int r;
		const char *text;
	} rows[] = {
		{ "0:off,3:on", 0, "default 0:off 3:on" },
		{ " 2:pv , 1:auto ", 0, "default 1:auto 2:pv" },
		{ "1-3:off,2:on", 0, "default 1:off 2:on 3:off" },
		{ "4095:on", 0, "default 4095:on" },
		{ "4096:on", -ERANGE, NULL },
		{ "3-1:on", -EINVAL, NULL },
		{ "", -EINVAL, NULL },
		{ ",", -EINVAL, NULL },
		{ "1:on,", -EINVAL, NULL },
		{ "1", -EINVAL, NULL },
		{ "1:", -EINVAL, NULL },
		{ ":on", -EINVAL, NULL },
		{ "1:default", -EINVAL, NULL },
		{ "-1:on", -EINVAL, NULL },
		{ "1-:on", -EINVAL, NULL },
		{ "1:on:off", -EINVAL, NULL },
	};

	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		print_message("%s\n", rows[i].list);
		settings_done(&s);
		assert_int_equal(settings_parse_vcpus(&s, rows[i].list), rows[i].r);
		if (rows[i].text)
			assert_string_equal(text_of(&s), rows[i].text);
	}
}

static void test_xml_there_and_back(void **state)
{
	_cleanup_(settings_done) struct settings back = SETTINGS_NONE;
	_cleanup_free_ char *xml = NULL;

	settings_set(&s, POLICY_MODE_AUTO);
	assert_int_equal(settings_parse_vcpus(&s, "0-99:off,4000:pv"), 0);
	assert_int_equal(settings_to_xml(&s, &xml), 0);
	assert_int_equal(settings_from_xml(xml, &back), 0);
	assert_true(settings_equal(&s, &back));
}

static void test_xml(void **state)
{
	static const struct {
		const char *xml;
		const char *text; /* NULL: makes no sense */
	} rows[] = {
		{ "<settings mode=\"auto\"><vcpu index=\"3\" mode=\"off\"/></settings>",
		  "auto 3:off" },
		{ "<settings mode='pv'/>", "pv" },
		{ "<settings/>", "default" },
		{ "<settings></settings>", "default" },
		{ " \n<settings \n mode = \"on\" >\n\t<vcpu mode=\"pv\" index=\"1\" />\n"
		  "</settings >\n",
		  "on 1:pv" },
		{ "<apf:settings xmlns:apf=\"https://apfd.org/xmlns/1\" mode=\"off\">"
		  "<apf:vcpu index=\"0\" mode=\"on\"></apf:vcpu></apf:settings>",
		  "off 0:on" },
		{ "<!-- mine --><settings mode=\"off\"><!-- > --></settings>", "off" },
		{ "<settings new=\"1\" mode=\"off\"><other a=\"b\"/></settings>", "off" },
		{ "<settings><vcpu index=\"1\" mode=\"on\"/><vcpu index=\"1\" mode=\"off\"/>"
		  "</settings>",
		  "default 1:off" },
		{ "<settings mode=\"o&#110;\"/>", "on" },
		{ "<settings>text<a><vcpu/></a></settings>", "default" },
		{ "<?xml version=\"1.0\"?><settings/>", "default" },
		{ "<apf:settings mode=\"pv\"><apf:vcpu index=\"0\" mode=\"on\"/></apf:settings>",
		  "pv 0:on" },
		{ "", NULL },
		{ "<", NULL },
		{ "<settings", NULL },
		{ "<settings ", NULL },
		{ "<settings mode", NULL },
		{ "<settings mode=", NULL },
		{ "<settings mode=\"", NULL },
		{ "<settings mode=\"on\"", NULL },
		{ "<settings mode=\"on\">", NULL },
		{ "<settings mode=\"on\"></", NULL },
		{ "<settings mode=\"on\"></other>", NULL },
		{ "<settings mode=\"on\"/><settings/>", NULL },
		{ "<settings mode=\"on\"/>x", NULL },
		{ "<settings mode=on/>", NULL },
		{ "<settings mode=\"often\"/>", NULL },
		{ "<settings mode=\"default\"/>", NULL },
		{ "<settings mode=\"\"/>", NULL },
		{ "<settings mode=\"on\" mode=\"off\"/>", NULL },
		{ "<settings a=\"1\"b=\"2\"/>", NULL },
		{ "</settings>", NULL },
		{ "<vcpu index=\"1\" mode=\"on\"/>", NULL },
		{ "<settings><vcpu mode=\"on\"/></settings>", NULL },
		{ "<settings><vcpu index=\"1\"/></settings>", NULL },
		{ "<settings><vcpu index=\"4096\" mode=\"on\"/></settings>", NULL },
		{ "<settings><vcpu index=\"-1\" mode=\"on\"/></settings>", NULL },
		{ "<settings><vcpu index=\"0\" mode=\"default\"/></settings>", NULL },
		{ "<settings><!-- </settings>", NULL },
		{ "<!DOCTYPE settings><settings/>", NULL },
		{ "<!DOCTYPE s [<!ENTITY a \"on\">]><settings mode=\"&a;\"/>", NULL },
	};

	for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
		print_message("%s\n", rows[i].xml);
		settings_done(&s);
		if (!rows[i].text) {
			assert_true(settings_from_xml(rows[i].xml, &s) < 0);
			assert_true(settings_empty(&s));
			continue;
		}
		assert_int_equal(settings_from_xml(rows[i].xml, &s), 0);
		assert_string_equal(text_of(&s), rows[i].text);
	}
}

static void test_xml_is_bounded(void **state)
{
	_cleanup_free_ char *xml = malloc(METADATA_MAX_BYTES + 64);
	char *end;

	end = stpcpy(xml, "<settings mode=\"on\"/>");
	memset(end, ' ', METADATA_MAX_BYTES);
	xml[METADATA_MAX_BYTES] = '\0';
	assert_int_equal(settings_from_xml(xml, &s), 0);
	xml[METADATA_MAX_BYTES] = ' ';
	xml[METADATA_MAX_BYTES + 1] = '\0';
	assert_int_equal(settings_from_xml(xml, &s), -E2BIG);

	/* Names and values that are longer than anything of ours. */
	memset(xml, 'a', 4096);
	xml[0] = '<';
	xml[4096] = '\0';
	assert_int_equal(settings_from_xml(xml, &s), -EINVAL);
	memcpy(xml, "<settings a=\"", 13);
	assert_int_equal(settings_from_xml(xml, &s), -EINVAL);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_overrides), TEST(test_copy_and_equal),     TEST(test_list),
		TEST(test_xml),	      TEST(test_xml_there_and_back), TEST(test_xml_is_bounded),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
