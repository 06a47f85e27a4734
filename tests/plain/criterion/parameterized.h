/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_PLAIN_CRITERION_PARAMETERIZED_H
#define TESTS_PLAIN_CRITERION_PARAMETERIZED_H

#include "tests/plain/criterion/criterion.h"

#define ParameterizedTestParameters(suite, name)                                                   \
	static struct plain_parameters suite##_##name##_parameters(void)

#define cr_make_param_array(type, array, length)                                                   \
	(struct plain_parameters)                                                                  \
	{                                                                                          \
		array, sizeof(type), length                                                        \
	}

#define ParameterizedTest(parameter, suite, name)                                                  \
	static void suite##_##name##_with(parameter);                                              \
	static void suite##_##name##_any(void *at)                                                 \
	{                                                                                          \
		suite##_##name##_with(at);                                                         \
	}                                                                                          \
	PLAIN_REGISTER(suite, name, .run_with = suite##_##name##_any,                              \
	               .parameters = suite##_##name##_parameters)                                  \
	static void suite##_##name##_with(parameter)

#endif
