/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/http_client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(http_client, addresses_are_taken_apart)
{
	static const struct {
		const char *text, *host, *port, *authority;
	} rows[] = {
		{ "http://127.0.0.1:8080", "127.0.0.1", "8080", "127.0.0.1:8080" },
		{ "http://beam/", "beam", "80", "beam" },
		{ "HTTP://beam:1/", "beam", "1", "beam:1" },
		{ "http://[::1]:8080", "::1", "8080", "[::1]:8080" },
		{ "http://[fe80::2]", "fe80::2", "80", "[fe80::2]" },
	};
	struct client_url u;
	char why[400];

	for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cr_expect_eq(client_url_parse(rows[i].text, &u, why), 0, "%s", rows[i].text);
		cr_expect_str_eq(u.host, rows[i].host);
		cr_expect_str_eq(u.port, rows[i].port);
		cr_expect_str_eq(u.authority, rows[i].authority);
	}
}

Test(http_client, what_is_no_address_is_refused_by_name)
{
	static const char *const wrong[] = { "",
		                             "127.0.0.1:8080",
		                             "https://beam",
		                             "ftp://beam",
		                             "http://",
		                             "http:///",
		                             "http://:80",
		                             "http://beam:",
		                             "http://beam:0",
		                             "http://beam:65536",
		                             "http://beam:80a",
		                             "http://beam/status",
		                             "http://[::1",
		                             "http://[]:80",
		                             "http://user@beam",
		                             "http://a b",
		                             "http://beam\r\nX: y" };
	struct client_url u;
	char why[400];

	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		why[0] = '\0';
		cr_expect_eq(client_url_parse(wrong[i], &u, why), -EINVAL, "%s", wrong[i]);
		cr_expect(strstr(why, "http://127.0.0.1:8080"), "%s", why);
	}
}

static int parse(const char *text, struct client_reply *ret)
{
	/* Exactly as long as it is, so that a sanitizer sees what is read beyond. */
	size_t n = strlen(text);
	char *copy = malloc(n ? n : 1);

	memcpy(copy, text, n);
	int err = client_reply_parse(copy, n, ret);
	free(copy);
	return err;
}

Test(http_client, answers_are_taken_apart)
{
	struct client_reply r;

	cr_assert_eq(parse("HTTP/1.1 409 Conflict\r\nA: b\r\ncontent-length: 4\r\n\r\nwell", &r),
	             0);
	cr_expect_eq(r.status, 409);
	cr_expect_str_eq(r.body, "well");
	client_reply_done(&r);
	cr_assert_eq(parse("HTTP/1.0 200 OK\r\n\r\nto the end", &r), 0);
	cr_expect_str_eq(r.body, "to the end");
	client_reply_done(&r);
	cr_assert_eq(parse("HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n", &r), 0);
	cr_expect_null(r.body);
	client_reply_done(&r);
}

Test(http_client, every_prefix_of_an_answer_is_refused)
{
	static const char whole[] = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell";
	struct client_reply r;

	for (size_t n = 0; n + 1 < sizeof whole; n++) {
		char *prefix = strndup(whole, n);

		cr_expect_eq(parse(prefix, &r), -EPROTO, "%zu bytes", n);
		free(prefix);
	}
}

Test(http_client, answers_in_other_ways_are_refused)
{
	struct client_reply r;

	cr_expect_eq(parse("SSH-2.0-OpenSSH_9.2\r\n\r\n", &r), -EPROTO);
	cr_expect_eq(parse("HTTP/1.1 2x0 OK\r\n\r\n", &r), -EPROTO);
	cr_expect_eq(parse("HTTP/2 200\r\n\r\n          ", &r), -EPROTO);
	cr_expect_eq(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", &r),
	             -EPROTO);
	cr_expect_eq(parse("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx", &r),
	             -EPROTO);
}
