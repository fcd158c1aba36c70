// ap_int<W> and ap_uint<W> (UG1399), over kfixed.h.
#ifndef KFIXED_AP_INT_H
#define KFIXED_AP_INT_H

#include "kfixed.h"

template <int W>
using ap_int = kfixed::plain<W, W, true, kfixed::ap_integer>;
template <int W>
using ap_uint = kfixed::plain<W, W, false, kfixed::ap_integer>;

#endif
