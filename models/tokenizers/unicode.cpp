#include "models/tokenizers/unicode.h"

#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

namespace precis::models {
namespace {

icu::UnicodeString from_utf8(std::string_view text) {
  return icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
}

std::string to_utf8(const icu::UnicodeString& text) {
  std::string result;
  text.toUTF8String(result);
  return result;
}

// Calls `visit` with every code point.
template <typename Visit>
void each_code(const icu::UnicodeString& text, const Visit& visit) {
  for (int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) visit(text.char32At(i));
}

// The blocks of unified and compatibility ideographs.
bool is_chinese(UChar32 c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

bool is_control(UChar32 c) {
  const int32_t other = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CS_MASK | U_GC_CO_MASK | U_GC_CN_MASK;
  return (U_GET_GC_MASK(c) & other) != 0;
}

bool is_punctuation(UChar32 c) {
  const bool ascii = (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
                     (c >= 123 && c <= 126);
  return ascii || u_ispunct(c) != 0;
}

}  // namespace

std::string lower_case(std::string_view text) {
  return to_utf8(from_utf8(text).toLower(icu::Locale::getRoot()));
}

std::string composed(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* form = icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) return std::string(text);
  const auto result = form->normalize(from_utf8(text), status);
  return U_FAILURE(status) ? std::string(text) : to_utf8(result);
}

std::string_view stripped(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string clean(std::string_view text, bool split_chinese) {
  icu::UnicodeString result;
  each_code(from_utf8(text), [&](UChar32 c) {
    if (u_isUWhiteSpace(c) != 0) {
      result.append(static_cast<UChar32>(' '));
    } else if (c == 0 || c == 0xFFFD || is_control(c)) {
      return;
    } else if (split_chinese && is_chinese(c)) {
      result.append(static_cast<UChar32>(' ')).append(c).append(static_cast<UChar32>(' '));
    } else {
      result.append(c);
    }
  });
  return to_utf8(result);
}

std::string without_accents(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const auto* form = icu::Normalizer2::getNFDInstance(status);
  if (U_FAILURE(status)) return std::string(text);
  icu::UnicodeString result;
  each_code(form->normalize(from_utf8(text), status), [&](UChar32 c) {
    if (u_charType(c) != U_NON_SPACING_MARK) result.append(c);
  });
  return to_utf8(result);
}

std::vector<std::string> words_and_punctuation(std::string_view text) {
  std::vector<std::string> words;
  icu::UnicodeString word;
  const auto finish = [&] {
    if (!word.isEmpty()) words.push_back(to_utf8(word));
    word.remove();
  };
  each_code(from_utf8(text), [&](UChar32 c) {
    const bool mark = is_punctuation(c);
    if (mark || u_isUWhiteSpace(c) != 0) finish();
    if (mark) {
      words.push_back(utf8(static_cast<char32_t>(c)));
    } else if (u_isUWhiteSpace(c) == 0) {
      word.append(c);
    }
  });
  finish();
  return words;
}

std::string utf8(char32_t code) {
  return to_utf8(icu::UnicodeString(static_cast<UChar32>(code)));
}

}  // namespace precis::models
