// hls::stream that records each read and write, and refuses to read what nobody wrote.
#ifndef KFIXED_HLS_STREAM_H
#define KFIXED_HLS_STREAM_H

#include <stdint.h>

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

template <class T>
class stream {
  public:
    stream(recorder& to, char name) : to_(to), name_(name) {}
    T read() {
        to_.add(name_);
        if (items.empty()) {
            to_.add('!');
            return T();
        }
        const T x = items.front();
        items.pop_front();
        return x;
    }
    void write(const T& x) {
        to_.add(name_);
        items.push_back(x);
    }
    std::deque<T> items;

  private:
    recorder& to_;
    char name_;
};

}  // namespace hls

#endif
