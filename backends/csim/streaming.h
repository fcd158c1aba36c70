// The library of a design with io_stream. Included once, by csim.cpp.
//
// `kbuild_run` runs one process after the other, each for a whole sample, with FIFOs as large as that takes. In
// `kbuild_run_bounded` all run beside each other with FIFOs of given depths: it fills `waits` (by process: 0, or the
// FIFO it waits for, counted from 1, negative where it wants to write) and `peaks` (by FIFO), and stops at the first
// sample that does not come to its end. Both return what went wrong in a kernel, or null.
#ifndef KBUILD_STREAMING_H
#define KBUILD_STREAMING_H

#include "library.h"
#include "streams.h"

namespace kbuild {

// A FIFO's packets of a sample, `left` of which nobody reads, and the bytes of all of them.
struct fifo {
    int packets, left;
    size_t bytes;
};

// FIFOs, and arrays that are too large for a stack, are members of the state.
struct stream_design {
    void* (*make_state)(hls::stream_base** streams);  // and its FIFOs
    void (*delete_state)(void* state);
    void (*const* processes)(const void* constants, void* state, int process);  // functions that run one of several
    int process_count;
    const fifo* fifos;
    int fifo_count;
    const int* nodes;  // by node, the FIFO it leaves its process through
    int node_count;
    const int* inputs;  // FIFOs, by input of the model
    int input_count;
};
extern const stream_design design;

// A state, and a sample's way into it and out of it.
class simulation {
  public:
    hls::stream_base** const streams;

    explicit simulation(const void* constants)
        : streams(new hls::stream_base*[design.fifo_count]),
          constants_(constants), state_(design.make_state(streams)) {}
    simulation(const simulation&) = delete;
    simulation& operator=(const simulation&) = delete;
    ~simulation() {
        design.delete_state(state_);
        delete[] streams;
    }

    void begin(const char* const* inputs, int64_t sample) {
        for (int i = 0; i < design.fifo_count; ++i) streams[i]->restart(design.fifos[i].packets);
        for (int i = 0; i < design.input_count; ++i) {
            const fifo& to = design.fifos[design.inputs[i]];
            memcpy(streams[design.inputs[i]]->fill(to.packets), inputs[i] + sample * to.bytes, to.bytes);
        }
    }
    void run(int process) { design.processes[process](constants_, state_, process); }
    void end(char* const* kept, int64_t sample) const {
        for (int i = 0; i < design.fifo_count; ++i)
            check_stream(*streams[i], design.fifos[i].packets, design.fifos[i].left);
        for (int i = 0; i < design.node_count; ++i) {
            const fifo& from = design.fifos[design.nodes[i]];
            if (kept[i]) memcpy(kept[i] + sample * from.bytes, streams[design.nodes[i]]->items(), from.bytes);
        }
    }

  private:
    const void* const constants_;
    void* const state_;
};

inline void run_process(void* of, int process) { static_cast<simulation*>(of)->run(process); }

}  // namespace kbuild

extern "C" {
const char* kbuild_run(const void* constants, const char* const* inputs, char* const* kept, int64_t samples) {
    kbuild::simulation simulation(constants);
    try {
        for (int64_t sample = 0; sample < samples; ++sample) {
            simulation.begin(inputs, sample);
            for (int i = 0; i < kbuild::design.process_count; ++i) simulation.run(i);
            simulation.end(kept, sample);
        }
    } catch (const hls::stream_error& error) {
        return kbuild::message(error);
    }
    return 0;
}

const char* kbuild_run_bounded(const void* constants, const char* const* inputs, char* const* kept, int64_t samples,
                               const int64_t* depths, int64_t* peaks, int64_t* waits) {
    const int processes = kbuild::design.process_count, fifos = kbuild::design.fifo_count;
    kbuild::simulation simulation(constants);
    kbuild::processes all(processes, kbuild::run_process, &simulation);
    for (int i = 0; i < fifos; ++i) simulation.streams[i]->bound(depths[i], &all);
    const char* wrong = 0;
    bool ended = true;
    try {
        for (int64_t sample = 0; sample < samples && ended; ++sample) {
            simulation.begin(inputs, sample);
            ended = all.run();
            if (ended) simulation.end(kept, sample);
        }
    } catch (const hls::stream_error& error) {
        wrong = kbuild::message(error);
    }
    for (int i = 0; i < fifos; ++i) peaks[i] = simulation.streams[i]->peak();
    for (int p = 0; p < processes; ++p) {
        waits[p] = 0;
        for (int i = 0; i < fifos && !ended; ++i)
            if (all.waits_for(p) == simulation.streams[i]) waits[p] = all.wants_to_write(p) ? -(i + 1) : i + 1;
    }
    return wrong;
}
}

#endif
