// hls::stream that records each read and write, and refuses to read what nobody wrote.
#ifndef KFIXED_HLS_STREAM_H
#define KFIXED_HLS_STREAM_H

#include <stdint.h>
#include <stdlib.h>

#include <deque>

// One character for every use of a stream: its name.
struct recorder {
    char* log;
    int64_t size, used;
    void add(char c) {
        if (used < size) log[used] = c;
        ++used;
    }
};

namespace hls {

// The most items that were in a stream inside of a kernel.
inline int64_t& inner_peak() {
    static int64_t peak = 0;
    return peak;
}

template <class T>
class stream {
  public:
    stream() : to_(0), name_(0) {}  // inside a kernel: not recorded, but it must not be read when empty
    stream(recorder& to, char name) : to_(&to), name_(name) {}
    ~stream() {
        if (!to_ && !items.empty()) abort();
    }
    T read() {
        if (to_) to_->add(name_);
        if (items.empty()) {
            if (!to_) abort();
            to_->add('!');
            return T();
        }
        const T x = items.front();
        items.pop_front();
        return x;
    }
    void write(const T& x) {
        if (to_) to_->add(name_);
        items.push_back(x);
        if (!to_ && int64_t(items.size()) > inner_peak()) inner_peak() = int64_t(items.size());
    }
    std::deque<T> items;

  private:
    recorder* to_;
    char name_;
};

}  // namespace hls

#endif
