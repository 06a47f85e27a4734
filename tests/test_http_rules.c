/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_rules.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char beam[] = "beam.example.org", with_port[] = "proxy.example.org:8443";

static const struct config_list allowed = { .count = 2, .at = { beam, with_port } };
static const struct http_names names = {
	.bound = "10.1.2.3", .port = 8080, .local = "192.168.7.9", .allowed = &allowed
};

Test(http_rules, hosts_are_taken_apart)
{
	static const struct {
		const char *text, *host;
		unsigned port;
	} rows[] = {
		{ "localhost", "localhost", 0 },         { "LocalHost:80", "localhost", 80 },
		{ "10.0.0.1:8080", "10.0.0.1", 8080 },   { "[::1]", "::1", 0 },
		{ "[FE80::1]:65535", "fe80::1", 65535 },
	};
	char host[HTTP_HOST_BYTES];
	unsigned port;

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cr_expect(http_split_host(rows[i].text, host, &port), "%s", rows[i].text);
		cr_expect_str_eq(host, rows[i].host);
		cr_expect_eq(port, rows[i].port, "%s", rows[i].text);
	}
}

Test(http_rules, what_is_no_host_is_refused_and_nothing_touched)
{
	static const char *const wrong[] = { "",       ":80",   "a:",       "a:0",   "a:65536",
		                             "a:80x",  "a:+80", "a:000080", "a b",   "a/b",
		                             "user@a", "::1",   "[::1",     "[]",    "[::1]80",
		                             "[::1]:", "a,b",   "a\t",      "[a/b]", "a:80:80" };
	char host[HTTP_HOST_BYTES] = "untouched", long_host[400];
	unsigned port = 7;

	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		cr_expect_not(http_split_host(wrong[i], host, &port), "%s", wrong[i]);
	memset(long_host, 'a', sizeof long_host - 1);
	long_host[sizeof long_host - 1] = '\0';
	cr_expect_not(http_split_host(long_host, host, &port));
	cr_expect_str_eq(host, "untouched");
	cr_expect_eq(port, 7);
}

Test(http_rules, only_names_of_this_server_are_answered)
{
	static const char *const good[] = { "localhost",
		                            "localhost:9999",
		                            "127.0.0.1:8080",
		                            "127.3.2.1",
		                            "[::1]:8080",
		                            "10.1.2.3:8080",
		                            "192.168.7.9:8080",
		                            "beam.example.org",
		                            "BEAM.example.org:8080",
		                            "proxy.example.org:8443" };
	static const char *const bad[] = { "evil.example",
		                           "localhost.evil.example",
		                           "127.0.0.1.evil.example",
		                           "beam.example.org:81",
		                           "proxy.example.org",
		                           "proxy.example.org:8080",
		                           "10.1.2.4",
		                           "",
		                           "localhost/",
		                           "*",
		                           "[::2]" };

	for (unsigned i = 0; i < sizeof good / sizeof good[0]; i++)
		cr_expect(http_host_allowed(good[i], &names), "%s", good[i]);
	for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
		cr_expect_not(http_host_allowed(bad[i], &names), "%s", bad[i]);
}

Test(http_rules, an_origin_is_that_of_the_host_or_foreign)
{
	cr_expect(http_origin_allowed("http://localhost:8080", "localhost:8080"));
	cr_expect(http_origin_allowed("HTTPS://Beam.example.org", "beam.example.org"));
	cr_expect_not(http_origin_allowed("http://localhost:8081", "localhost:8080"));
	cr_expect_not(http_origin_allowed("http://evil.example", "localhost:8080"));
	cr_expect_not(http_origin_allowed("null", "localhost:8080"));
	cr_expect_not(http_origin_allowed("", "localhost:8080"));
	cr_expect_not(http_origin_allowed("file://localhost:8080", "localhost:8080"));
	cr_expect_not(http_origin_allowed("http://localhost:8080.evil.example", "localhost:8080"));
}

Test(http_rules, loopback_names_are_known)
{
	cr_expect(http_host_is_loopback("localhost:1"));
	cr_expect(http_host_is_loopback("127.0.0.2"));
	cr_expect(http_host_is_loopback("[::1]:8080"));
	cr_expect_not(http_host_is_loopback("10.0.0.1"));
	cr_expect_not(http_host_is_loopback("beam.example.org"));
}

static bool from(const char *text)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
		return http_from_loopback((struct sockaddr *)&four);
	cr_assert_eq(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
	return http_from_loopback((struct sockaddr *)&six);
}

Test(http_rules, loopback_addresses_are_known_in_both_families)
{
	cr_expect(from("127.0.0.1"));
	cr_expect(from("127.200.0.1"));
	cr_expect(from("::1"));
	cr_expect(from("::ffff:127.0.0.1"));
	cr_expect_not(from("128.0.0.1"));
	cr_expect_not(from("::2"));
	cr_expect_not(from("::ffff:10.0.0.1"));
	cr_expect_not(from("::"));
	cr_expect_not(http_from_loopback(&(struct sockaddr){ .sa_family = AF_UNIX }));
}

Test(http_rules, a_token_matches_whole_and_only_as_bearer)
{
	cr_expect(http_bearer_matches("Bearer 0123456789abcdef", "0123456789abcdef"));
	cr_expect(http_bearer_matches("bearer 0123456789abcdef", "0123456789abcdef"));
	cr_expect_not(http_bearer_matches("Bearer 0123456789abcde", "0123456789abcdef"));
	cr_expect_not(http_bearer_matches("Bearer 0123456789abcdefg", "0123456789abcdef"));
	cr_expect_not(http_bearer_matches("Bearer  0123456789abcdef", "0123456789abcdef"));
	cr_expect_not(http_bearer_matches("Basic 0123456789abcdef", "0123456789abcdef"));
	cr_expect_not(http_bearer_matches("0123456789abcdef", "0123456789abcdef"));
	cr_expect_not(http_bearer_matches("Bearer ", ""));
	cr_expect_not(http_bearer_matches(NULL, "0123456789abcdef"));
	char long_one[2000] = "Bearer ";
	memset(long_one + 7, 'a', sizeof long_one - 8);
	cr_expect_not(http_bearer_matches(long_one, "0123456789abcdef"));
}

/* What http_token_read() makes of a file with these bytes. */
static int read_token(const char *bytes, size_t n, char ret[HTTP_TOKEN_BYTES], char why[400])
{
	char path[] = "/tmp/openbeam-token-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
	close(fd);
	int err = http_token_read(path, ret, why);
	unlink(path);
	return err;
}

Test(http_rules, a_token_is_read_without_the_space_around_it)
{
	char token[HTTP_TOKEN_BYTES], why[400], longest[HTTP_TOKEN_BYTES + 1];

	cr_assert_eq(read_token(" s3cret-of-the-beam\r\n\n", 22, token, why), 0);
	cr_expect_str_eq(token, "s3cret-of-the-beam");
	memset(longest, 'x', sizeof longest);
	longest[512] = '\n';
	cr_assert_eq(read_token(longest, 513, token, why), 0);
	cr_expect_eq(strlen(token), 512);
}

Test(http_rules, a_file_without_a_token_is_refused_by_name)
{
	char token[HTTP_TOKEN_BYTES] = "untouched", why[400], many[4000];

	cr_expect_eq(read_token("", 0, token, why), -EINVAL);
	cr_expect_eq(read_token(" \n", 2, token, why), -EINVAL);
	cr_expect_eq(read_token("two words", 9, token, why), -EINVAL);
	cr_expect_eq(read_token("zero\0inside", 11, token, why), -EINVAL);
	memset(many, 'x', sizeof many);
	cr_expect_eq(read_token(many, sizeof many, token, why), -EINVAL);
	cr_expect(strstr(why, "openssl rand"));
	cr_expect_eq(http_token_read("/nowhere/token", token, why), -ENOENT);
	cr_expect(strstr(why, "/nowhere/token"));
	cr_expect_str_eq(token, "untouched");
}
