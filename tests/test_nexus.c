/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/hdf5_handle.h"
#include "sinks/nexus.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A master of no frames, and what it points to. */
struct sample {
	struct config_reduce reduce;
	struct sink_shape shape;
	struct nexus_map maps[3];
	struct nexus_master master;
};

static struct nexus_master *sample(struct sample *s, uint32_t width, uint32_t height,
                                   enum product_type type)
{
	*s = (struct sample){ 0 };
	s->reduce = (struct config_reduce){ .bin = 1, .average = 1, .window_high = 1.5 };
	s->shape = (struct sink_shape){ .width = width, .height = height, .type = type };
	s->master = (struct nexus_master){
		.series = "s-0001",
		.name = "s",
		.version = "1",
		.ingest_name = "camera",
		.shape = &s->shape,
		.reduce = &s->reduce,
		.maps = s->maps,
	};
	return &s->master;
}

static const struct nexus_map *add_map(struct sample *s, const char *role, const float *pixels,
                                       uint32_t width, uint32_t height)
{
	struct nexus_map *map = &s->maps[s->master.map_count++];

	*map = (struct nexus_map){ role, "x.tif", 1, pixels, width, height };
	return map;
}

/* 5 x 4: with bins of 2 the last column is left out. */
static const float uneven[] = {
	1,  2,  3,        4,  9, /**/
	5,  6,  NAN,      8,  9, /**/
	10, 20, 30,       40, 9, /**/
	50, 60, INFINITY, 80, 9, /**/
};

Test(nexus, bins_are_the_mean_of_what_is_finite)
{
	struct sample s;
	struct nexus_master *m = sample(&s, 2, 2, PRODUCT_FLOAT32);
	float frame[4];

	s.reduce.bin = 2;
	cr_assert_eq(nexus_map_frame(m, add_map(&s, "dark", uneven, 5, 4), frame), 0);
	cr_expect_eq(frame[0], 3.5f);
	cr_expect_eq(frame[1], 5);
	cr_expect_eq(frame[2], 35);
	cr_expect_eq(frame[3], 50);
}

Test(nexus, bins_leave_out_what_any_image_calls_bad)
{
	static const float mask[20] = { [0] = 1, [14] = 1 }; /* the second is in no bin */
	float flat[20] = { 0 }, frame[4];
	struct sample s;
	struct nexus_master *m = sample(&s, 2, 2, PRODUCT_FLOAT32);
	const struct nexus_map *dark = add_map(&s, "dark", uneven, 5, 4);

	s.reduce.bin = 2;
	flat[2 * 5 + 1] = -INFINITY;
	flat[0 * 5 + 2] = flat[0 * 5 + 3] = flat[1 * 5 + 3] = NAN;
	add_map(&s, "flat", flat, 5, 4);
	add_map(&s, "mask", mask, 5, 4);
	cr_assert_eq(nexus_map_frame(m, dark, frame), 0);
	cr_expect_eq(frame[0], 13.0f / 3);
	cr_expect(isnan(frame[1]), "no good pixel is left, but it is %g", frame[1]);
	cr_expect_eq(frame[2], 40);
	cr_expect_eq(frame[3], 50);
}

Test(nexus, a_frame_is_of_the_region)
{
	struct sample s;
	struct nexus_master *m = sample(&s, 2, 2, PRODUCT_FLOAT32);
	const struct nexus_map *dark = add_map(&s, "dark", uneven, 5, 4);
	float frame[4];

	s.reduce.roi_x = 3;
	s.reduce.roi_y = 1;
	s.reduce.roi_height = 2;
	cr_assert_eq(nexus_map_frame(m, dark, frame), 0);
	cr_expect_eq(frame[0], 8);
	cr_expect_eq(frame[1], 9);
	cr_expect_eq(frame[2], 40);
	cr_expect_eq(frame[3], 9);
}

Test(nexus, a_region_of_another_size_is_refused)
{
	struct sample s;
	struct nexus_master *m = sample(&s, 5, 4, PRODUCT_FLOAT32);
	const struct nexus_map *dark = add_map(&s, "dark", uneven, 5, 4);
	float frame[20] = { 77 };

	for (unsigned i = 0; i < 4; i++) {
		s.reduce = (struct config_reduce){ .bin = i == 3 ? 2 : 1 };
		s.reduce.roi_x = i == 0 ? 5 : 0;
		s.reduce.roi_height = i == 1 ? 5 : 0;
		s.reduce.roi_y = i == 2;
		cr_expect_eq(nexus_map_frame(m, dark, frame), -EINVAL, "%u", i);
	}
	cr_expect_eq(frame[0], 77);
}

Test(nexus, the_window_maps_reduced_integers)
{
	static const float values[] = { 0.5f, 1.5f, 2.5f, 253.4f, 300, -3, NAN, INFINITY };
	static const uint8_t bytes[] = { 0, 2, 2, 253, 254, 0, 255, 255 };
	static const float shares[] = { 0, 0.25f, 1, NAN };
	static const uint16_t words[] = { 0, 16384, 65534, 65535 }; /* 16383.5: the even one */
	struct sample s;
	struct nexus_master *m = sample(&s, 8, 1, PRODUCT_UINT8);
	uint8_t frame8[8];
	uint16_t frame16[4];

	s.reduce.window_high = 254;
	s.reduce.type = REDUCE_UINT8;
	cr_assert_eq(nexus_map_frame(m, add_map(&s, "flat", values, 8, 1), frame8), 0);
	cr_expect_arr_eq(frame8, bytes, sizeof bytes);

	m = sample(&s, 2, 2, PRODUCT_UINT16);
	s.reduce.window_high = 1;
	s.reduce.type = REDUCE_UINT16;
	cr_assert_eq(nexus_map_frame(m, add_map(&s, "flat", shares, 2, 2), frame16), 0);
	cr_expect_arr_eq(frame16, words, sizeof words);
	s.shape.type = PRODUCT_UINT32;
	cr_expect_eq(nexus_map_frame(m, &s.maps[0], frame16), -EINVAL);
}

Test(nexus, source_integers_are_rounded_and_clipped)
{
	static const float values[] = { 0.5f, 1.5f, 254.6f, 300, -4, NAN, 7, 65535.5f };
	static const uint8_t bytes[] = { 0, 2, 255, 255, 0, 255, 7, 255 };
	static const uint16_t words[] = { 0, 2, 255, 300, 0, 65535, 7, 65535 };
	static const float large[] = { 4294967296.0f, 16777216, NAN, -1 };
	static const uint32_t longs[] = { UINT32_MAX, 16777216, UINT32_MAX, 0 };
	struct sample s;
	struct nexus_master *m = sample(&s, 8, 1, PRODUCT_UINT8);
	const struct nexus_map *dark = add_map(&s, "dark", values, 8, 1);
	uint8_t frame8[8];
	uint16_t frame16[8];
	uint32_t frame32[4];

	m->source = true;
	s.reduce.bin = 4; /* of the reduced product alone */
	cr_assert_eq(nexus_map_frame(m, dark, frame8), 0);
	cr_expect_arr_eq(frame8, bytes, sizeof bytes);
	s.shape.type = PRODUCT_UINT16;
	cr_assert_eq(nexus_map_frame(m, dark, frame16), 0);
	cr_expect_arr_eq(frame16, words, sizeof words);

	m = sample(&s, 4, 1, PRODUCT_UINT32);
	s.reduce.type = REDUCE_SOURCE; /* the other way to pixels as they came */
	cr_assert_eq(nexus_map_frame(m, add_map(&s, "dark", large, 4, 1), frame32), 0);
	cr_expect_arr_eq(frame32, longs, sizeof longs);
}

Test(nexus, source_floats_are_as_they_are)
{
	struct sample s;
	struct nexus_master *m = sample(&s, 5, 4, PRODUCT_FLOAT32);
	float frame[20];

	m->source = true;
	cr_assert_eq(nexus_map_frame(m, add_map(&s, "dark", uneven, 5, 4), frame), 0);
	cr_expect_arr_eq(frame, uneven, sizeof uneven);
}

enum { ID_SPACE, ID_PLIST, ID_TYPE, ID_KINDS };

/* One new id of each kind. They rise: what lies between two of a kind was made between. */
static void new_ids(hid_t ret[ID_KINDS])
{
	ret[ID_SPACE] = H5Screate(H5S_SCALAR);
	ret[ID_PLIST] = H5Pcreate(H5P_DATASET_CREATE);
	ret[ID_TYPE] = H5Tcopy(H5T_C_S1);
}

static void expect_closed(const hid_t before[ID_KINDS])
{
	hid_t after[ID_KINDS];

	new_ids(after);
	cr_expect_eq(H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL & ~H5F_OBJ_DATATYPE), 0);
	for (unsigned i = 0; i < ID_KINDS; i++) {
		cr_expect_gt(after[i], before[i] + 1, "none made: kind %u", i);
		for (hid_t id = before[i] + 1; id < after[i]; id++)
			cr_expect_leq(H5Iis_valid(id), 0, "kind %u, %ld", i,
			              (long)(id - before[i]));
		H5Idec_ref(before[i]);
		H5Idec_ref(after[i]);
	}
}

Test(nexus, leaves_no_id_behind_nor_an_image_when_it_fails)
{
	static const char *const roles[][2] = {
		{ "dark", "flat" }, { "dark", "dark" }, /* a second one has no place in the tree */
	};
	static const int errors[] = { 0, -EIO };
	static const struct nexus_row rows[] = { { 1, true, 0, 0, 0, 0, NAN },
		                                 { 2, false, 0, 0, 0, NAN, NAN } };

	H5open();
	for (unsigned i = 0; i < 2; i++) {
		struct sample s;
		struct nexus_master *m = sample(&s, 5, 4, PRODUCT_FLOAT32);
		hid_t before[ID_KINDS];
		void *image = &s;
		size_t bytes = 7;
		char why[256] = "";

		new_ids(before);
		m->rows = rows;
		m->row_count = 2;
		add_map(&s, roles[i][0], uneven, 5, 4);
		add_map(&s, roles[i][1], uneven, 5, 4);
		cr_assert_eq(nexus_compose(m, &image, &bytes, why), errors[i], "%s", why);
		expect_closed(before);
		if (errors[i] == 0) {
			cr_expect_eq(memcmp(image, "\211HDF\r\n\032\n", 8), 0);
			free(image);
			continue;
		}
		cr_expect_eq(image, &s);
		cr_expect_eq(bytes, 7);
		cr_expect(strstr(why, "cannot write the dataset dark: ") &&
		                  strstr(why, "already exists"),
		          "%s", why);
	}
}

static hid_t memory_file(void)
{
	hid_t access = H5Pcreate(H5P_FILE_ACCESS), file;

	H5Pset_fapl_core(access, 1 << 16, false);
	file = H5Fcreate("test", H5F_ACC_TRUNC, H5P_DEFAULT, access);
	H5Pclose(access);
	cr_assert_geq(file, 0);
	return file;
}

Test(nexus, the_first_failure_is_kept_with_the_librarys_text)
{
	struct hdf5 h;
	hid_t file, group;
	char why[sizeof h.why];

	hdf5_init(&h);
	file = memory_file();
	group = hdf5_group(&h, file, "a", "NXcollection");
	cr_assert_geq(group, 0);
	cr_expect_lt(hdf5_group(&h, file, "a", NULL), 0);
	cr_assert_eq(h.err, -EIO);
	cr_expect(strstr(h.why, "cannot make the group a: "), "%s", h.why);
	cr_expect(strstr(h.why, "already exists"), "%s", h.why);

	strcpy(why, h.why);
	hdf5_fail(&h, -EINVAL, "later");
	hdf5_text(&h, group, "t", "x");
	hdf5_link(&h, file, "nothing", file, "x");
	cr_expect_eq(h.err, -EIO);
	cr_expect_str_eq(h.why, why);
	cr_expect_eq(H5Lexists(group, "t", H5P_DEFAULT), 0);
	hdf5_close(&h, group);
	H5Fclose(file);
}

Test(nexus, texts_are_utf8)
{
	/* A lone byte, a sequence cut short, an overlong one, a surrogate, beyond the last. */
	static const char *const given[] = {
		"h\303\266lz \342\202\254 \360\237\230\200",
		"\366",
		"a\342\202",
		"\300\200b",
		"\355\240\200",
		"\364\220\200\200",
		"\360\200\200\200",
	};
	static const char *const wanted[] = {
		"h\303\266lz \342\202\254 \360\237\230\200",
		"?",
		"a??",
		"??b",
		"???",
		"????",
		"????",
	};
	struct hdf5 h;
	hid_t file;

	hdf5_init(&h);
	file = memory_file();
	for (unsigned i = 0; i < sizeof given / sizeof *given; i++) {
		char name[2] = { (char)('a' + i), 0 }, *read = NULL;
		hid_t set, type;

		hdf5_text(&h, file, name, given[i]);
		cr_assert_eq(h.err, 0, "%s", h.why);
		set = H5Dopen2(file, name, H5P_DEFAULT);
		type = H5Dget_type(set);
		cr_expect_eq(H5Tget_cset(type), H5T_CSET_UTF8);
		cr_assert_geq(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, &read), 0);
		cr_expect_str_eq(read, wanted[i]);
		H5free_memory(read);
		H5Tclose(type);
		H5Dclose(set);
	}
	H5Fclose(file);
}
