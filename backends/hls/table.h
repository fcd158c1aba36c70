// How a difference of integers finds its entry in a table.
#ifndef KBUILD_TABLE_H
#define KBUILD_TABLE_H

#include "integer.h"

namespace kbuild {

// `difference >> shift`, saturated into 0 .. entries - 1.
template <class D>
int entry(D difference, int shift, int entries) {
#pragma HLS INLINE
    const D index = difference >> shift;
    if (index < 0) return 0;
    if (index >= entries) return entries - 1;
    return index.to_int();
}

}  // namespace kbuild

#endif
