// What the vendors' headers do not have, or what differs on purpose: each line prints a name when it is wrong.
#include "ac_fixed.h"
#include "ap_fixed.h"
#include "hls_stream.h"
#include "kfixed_io.h"

#include <sstream>
#include <stdio.h>

static int wrong = 0;
#define CHECK(condition) \
    if (!(condition)) wrong = 1, puts(#condition)

template <class T>
struct modes;  // a user's partial specialisation must match
template <int W, int I, ap_q_mode Q, ap_o_mode O, int N>
struct modes<ap_fixed<W, I, Q, O, N>> {
    static constexpr int integer = I;
};

static void raw_access() {
    typedef ap_fixed<16, 6> T;
    CHECK(T::from_raw(-5).raw() == -5);
    CHECK(T::from_raw(65535).raw() == -1);
    CHECK((ap_ufixed<63, 1>::from_raw(-1).raw() == INT64_MAX));
    ap_fixed<1024, 500> x = -1.5;
    CHECK(x.limb(15) == ~uint64_t(0) && x.limbs == 16);
    x.set_limb(15, 0);
    CHECK(x > 0 && x.limb(15) == 0);
    static_assert(sizeof(ap_fixed<8, 3>) == 1 && sizeof(ap_ufixed<9, 3>) == 2, "the smallest native integer");
    static_assert(sizeof(ap_fixed<33, 3>) == 8 && sizeof(ac_int<65, true>) == 16, "the smallest native integer");
    static_assert(__is_trivially_copyable(ap_fixed<16, 6>) && __is_trivially_copyable(ap_int<16>), "arrays of raw bits");
    static_assert(modes<ap_fixed<9, -4, AP_RND>>::integer == -4, "deducible");
    constexpr ap_fixed<8, 4> sum = ap_fixed<8, 4>(1) + ap_fixed<8, 4>(2);
    static_assert(sum.raw() == 48, "usable in constant expressions");
}

static void bits() {
    ap_uint<8> u = 0;
    u[3] = 1;
    u.range(7, 6) = 3;
    CHECK(u == 0xc8 && u[3] && !u[0]);
    const ap_uint<4> high = u(7, 4);
    const ap_uint<1> bit = u[3];
    CHECK(high == 12 && bit == 1 && ap_uint<2>(u(7, 6)) == 3);
    ap_fixed<8, 4> f = -1;
    f(3, 0) = ap_uint<4>(5);
    CHECK(f.range() == 0xf5 && f.range(7, 4).length() == 4);
    ac_int<8, false> a = 0xa5;
    CHECK(a.slc<4>(4) == 10);
    a.set_slc(0, ac_int<4, false>(0));
    CHECK(a == 0xa0);
    int table[4] = {1, 2, 3, 4};
    CHECK(table[ap_uint<2>(2)] == 3 && ap_int<8>(-7) / 2 == -3);
}

static void documented_differences() {
    CHECK((ap_uint<40>(1) > ap_int<40>(-1)));
    CHECK((ap_fixed<4, 0>(-0.25).to_int() == 0) && (ap_fixed<4, -1>(-0.05).to_int() == 0));
    CHECK((ap_fixed<8, 8, AP_TRN, AP_SAT>(__builtin_inf()) == 127));
    CHECK((ap_fixed<8, 4>(1.5) == 1.5 && 1.25 < ap_fixed<8, 4>(1.5)));
}

static void streams() {
    hls::stream<ap_int<8>> s("s");
    for (int i = 0; i < 40; ++i) {
        s.write(i);
        if (i % 2) CHECK(s.read() == i / 2);
    }
    CHECK(s.size() == 20 && s.peak() == 21 && !s.empty());
    ap_int<8> x = 0;
    while (s.read_nb(x)) {
    }
    CHECK(x == 39 && s.empty());
    bool refused = false;
    try {
        s.read();
    } catch (const hls::stream_error& error) {
        refused = error.stream[0] == 's';
    }
    CHECK(refused);
    std::ostringstream text;
    text << ap_fixed<8, 4>(-1.25) << ' ' << ac_int<8, true>(-3);
    CHECK(text.str() == "-1.25 -3");
}

int main() {
    raw_access();
    bits();
    documented_differences();
    streams();
    return wrong;
}
