// What tokenizers need of Unicode, by ICU.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace precis::models {

// Lower case by the full mapping of the root locale, as Python's str.lower(). Bytes that are not
// UTF-8 become U+FFFD.
std::string lower_case(std::string_view text);

// Composed: normalisation form C.
std::string composed(std::string_view text);

// Without white space at both ends, as Python's str.strip() of ASCII white space.
std::string_view stripped(std::string_view text);

// Without control characters, white space as single blanks, and blanks around Chinese characters
// where wanted: BERT's clean-up.
std::string clean(std::string_view text, bool split_chinese);

// Decomposed (form D) and without combining marks.
std::string without_accents(std::string_view text);

// Runs of other characters between white space and punctuation; every punctuation mark by itself.
// ASCII symbols count as punctuation, as in BERT.
std::vector<std::string> words_and_punctuation(std::string_view text);

// A code point as UTF-8.
std::string utf8(char32_t code);

}  // namespace precis::models
