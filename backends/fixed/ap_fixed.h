// ap_fixed<W,I,Q,O,N> and ap_ufixed<...> (UG1399), over kfixed.h.
#ifndef KFIXED_AP_FIXED_H
#define KFIXED_AP_FIXED_H

#include "ap_int.h"

typedef kfixed::quantization ap_q_mode;
typedef kfixed::overflow ap_o_mode;
constexpr ap_q_mode AP_TRN = kfixed::TRN, AP_TRN_ZERO = kfixed::TRN_ZERO, AP_RND = kfixed::RND,
                    AP_RND_ZERO = kfixed::RND_ZERO, AP_RND_INF = kfixed::RND_INF,
                    AP_RND_MIN_INF = kfixed::RND_MIN_INF, AP_RND_CONV = kfixed::RND_CONV;
constexpr ap_o_mode AP_WRAP = kfixed::WRAP, AP_SAT = kfixed::SAT, AP_SAT_ZERO = kfixed::SAT_ZERO,
                    AP_SAT_SYM = kfixed::SAT_SYM;

template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
using ap_fixed = kfixed::num<W, I, true, Q, O, N, kfixed::ap_real>;
template <int W, int I, ap_q_mode Q = AP_TRN, ap_o_mode O = AP_WRAP, int N = 0>
using ap_ufixed = kfixed::num<W, I, false, Q, O, N, kfixed::ap_real>;

#endif
