// Reading integers of any width and comparing values exactly, for the testbench.
//
// A value is written as the integer q behind it: it stands for q * 2^-fraction of its type.
#ifndef KBUILD_TESTBENCH_H
#define KBUILD_TESTBENCH_H

#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include "ap_fixed.h"
#include "ap_int.h"
#include "kernels/integer.h"

namespace kbuild {

// The values of one sample, taken from a line one by one.
class words {
  public:
    explicit words(const std::string& line) : stream_(line), good_(true) {}

    template <class T>
    T next() {
        std::string word;
        good_ = bool(stream_ >> word) && good_;
        const bool negative = !word.empty() && word[0] == '-';
        good_ = good_ && word.size() > (negative ? 1u : 0u);
        ap_int<T::width + 5> q = 0;
        for (std::size_t i = negative; i < word.size(); ++i) {
            good_ = good_ && word[i] >= '0' && word[i] <= '9';
            q = q * 10 + (word[i] - '0');
        }
        if (negative) q = -q;
        const T value = q * unit<ap_ufixed<1, 1 - (T::width - T::iwidth)> >();
        return value;
    }

    template <class T>
    void fill(T* values, int count) {
        for (int i = 0; i < count; ++i) values[i] = next<T>();
    }

    // Whether all words were integers and none is left.
    bool complete() {
        std::string word;
        return good_ && !(stream_ >> word);
    }

  private:
    std::istringstream stream_;
    bool good_;
};

// Number of values that differ; each is told.
template <class T>
int differences(const char* name, const T* got, const T* wanted, int count, int sample) {
    int found = 0;
    for (int i = 0; i < count; ++i) {
        if (got[i] == wanted[i]) continue;
        ++found;
        std::cout << "sample " << sample << ": " << name << "[" << i << "] is " << got[i].to_double() << ", not "
                  << wanted[i].to_double() << std::endl;
    }
    return found;
}

}  // namespace kbuild

#endif
