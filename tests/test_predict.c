/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/predict.h"

#include <criterion/criterion.h>
#include <string.h>

/* 10 ms of CPU time in all. */
static const struct predict_costs ten_ms = {
	.send = 1e-3,
	.receive = 2e-3,
	.pass = 5e-3,
	.write = 0.5e-3,
	.rest = 1.5e-3,
	.memory_bytes = 40e6,
};

Test(predict, cores_share_the_sum_of_what_a_frame_costs)
{
	const struct predict_machine two = { .cores = 2, .endpoints = 1 };

	cr_expect_float_eq(predict_cpu_s(&ten_ms), 10e-3, 1e-12);
	cr_expect_float_eq(predict_fps(&ten_ms, &two), 200, 1e-9);
}

Test(predict, one_endpoint_is_received_by_one_core)
{
	const struct predict_machine one = { .cores = 64, .endpoints = 1 };
	const struct predict_machine four = { .cores = 64, .endpoints = 4 };

	cr_expect_float_eq(predict_fps(&ten_ms, &one), 500, 1e-9);
	cr_expect_float_eq(predict_fps(&ten_ms, &four), 2000, 1e-9);
}

Test(predict, memory_may_be_what_is_short)
{
	const struct predict_machine m = { 64, 8, 20e9 };

	cr_expect_float_eq(predict_fps(&ten_ms, &m), 500, 1e-9);
}

Test(predict, what_a_rate_needs_is_rounded_up)
{
	const struct predict_machine two = { .cores = 2, .endpoints = 8 };

	cr_expect_eq(predict_cores(&ten_ms, 100), 1);
	cr_expect_eq(predict_cores(&ten_ms, 1500), 15);
	cr_expect_eq(predict_cores(&ten_ms, 1501), 16);
	cr_expect_eq(predict_cores(&ten_ms, 1), 1);
	cr_expect_eq(predict_endpoints(&ten_ms, 1500), 3);
	cr_expect_eq(predict_endpoints(&ten_ms, 499), 1);
	cr_expect_eq(predict_machines(&ten_ms, &two, 1500), 8);
	cr_expect_eq(predict_machines(&ten_ms, &two, 200), 1);
}

Test(predict, costs_grow_with_bytes_and_pixels)
{
	const struct predict_unit unit = {
		.send_per_byte = 1e-10,
		.receive_per_byte = 2e-10,
		.receive_per_frame = 1e-6,
		.pass_per_pixel = 1e-9,
		.write_per_pixel = 1e-11,
		.rest_per_pixel = 2e-11,
		.touched_per_byte = 4,
		.touched_per_pixel = 1,
	};
	const struct predict_load load = { "a", 1000, 1000, 12, 100 };
	struct predict_costs c = predict_costs_of(&unit, &load);

	cr_expect_float_eq(c.send, 150e-6, 1e-12);
	cr_expect_float_eq(c.receive, 301e-6, 1e-12);
	cr_expect_float_eq(c.pass, 1e-3, 1e-12);
	cr_expect_float_eq(c.write, 10e-6, 1e-12);
	cr_expect_float_eq(c.rest, 20e-6, 1e-12);
	cr_expect_float_eq(c.memory_bytes, 7e6, 1e-3);
	cr_expect_float_eq(predict_bytes_per_s(&load), 150e6, 1e-3);
}

Test(predict, the_loads_are_those_they_are_called)
{
	const struct predict_load *l = predict_loads;

	cr_expect_float_eq(predict_bytes_per_s(&l[0]), 8.2944e9, 1);
	cr_expect_float_eq(predict_bytes_per_s(&l[1]), 12.4416e9, 1);
	cr_expect_float_eq(predict_bytes_per_s(&l[2]), 16.5888e9, 1);
	cr_expect_str_eq(l[3].name, "csaxs");
	cr_expect_float_eq(predict_bytes_per_s(&l[3]), 30e9, 0.1e9);
	cr_expect_null(l[4].name);
}
