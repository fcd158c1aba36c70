// The library of a design with io_parallel. Included once, by csim.cpp.
#ifndef KBUILD_PARALLEL_H
#define KBUILD_PARALLEL_H

#include "library.h"

namespace kbuild {

struct parallel_design {
    void (*run)(const void* constants, void* values);
    size_t bytes;        // of the struct that the values lie in
    const array* nodes;  // where those of each node are
    int node_count;
    const int* inputs;  // nodes, by input of the model
    int input_count;
};
extern const parallel_design design;

}  // namespace kbuild

// `inputs` by input of the model, samples first; `kept` by node, null if not wanted. Nothing can go wrong: null is
// returned.
extern "C" const char* kbuild_run(const void* constants, const char* const* inputs, char* const* kept,
                                  int64_t samples) {
    const kbuild::parallel_design& design = kbuild::design;
    char* const values = static_cast<char*>(operator new(design.bytes));
    for (int64_t sample = 0; sample < samples; ++sample) {
        for (int i = 0; i < design.input_count; ++i) {
            const kbuild::array& at = design.nodes[design.inputs[i]];
            memcpy(values + at.offset, inputs[i] + sample * at.bytes, at.bytes);
        }
        design.run(constants, values);
        for (int i = 0; i < design.node_count; ++i) {
            const kbuild::array& at = design.nodes[i];
            if (kept[i]) memcpy(kept[i] + sample * at.bytes, values + at.offset, at.bytes);
        }
    }
    operator delete(values);
    return 0;
}

#endif
