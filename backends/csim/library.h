// What every library has: its constants, made and filled by the caller. Included once, by csim.cpp, which defines the
// tables. No function here depends on a type of the design: instances of templates would have to be compiled with each.
//
// Values are exchanged as they lie in memory: one after the other, each the native integer or the limbs that hold it
// (kfixed_store.h).
#ifndef KBUILD_LIBRARY_H
#define KBUILD_LIBRARY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace kbuild {

// An array in a struct.
struct array {
    size_t offset, bytes;
};

struct constants_table {
    size_t bytes;  // of the struct that they lie in
    const array* all;
};
extern const constants_table constants;

}  // namespace kbuild

extern "C" {
void* kbuild_new() { return operator new(kbuild::constants.bytes); }
void kbuild_delete(void* constants) { operator delete(constants); }
void kbuild_load(void* constants, int index, const void* values) {
    const kbuild::array& at = kbuild::constants.all[index];
    memcpy(static_cast<char*>(constants) + at.offset, values, at.bytes);
}
}

#endif
