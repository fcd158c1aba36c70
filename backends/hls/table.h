// How a value finds its entry in a table.
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

// table[(q - offset) >> shift], q the integer behind x; the index saturates at both ends.
template <class C, class X>
typename C::table_t looked_up(const X& x, const typename C::table_t table[C::entries],
                              const typename C::offset_t offset[1]) {
#pragma HLS INLINE
    const typename C::integer_t q = x * unit<typename C::unit_t>();
    const typename C::difference_t difference = q - offset[0];
    return table[entry(difference, C::shift, C::entries)];
}

// Whether the input is beyond those of the last entry.
template <class C, class X>
bool beyond(const X& x, const typename C::offset_t offset[1]) {
#pragma HLS INLINE
    const typename C::integer_t q = x * unit<typename C::unit_t>();
    const typename C::difference_t difference = q - offset[0];
    return (difference >> C::shift) >= C::entries;
}

}  // namespace kbuild

#endif
