#include "core/format/json_scanner.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <unordered_set>

#include "core/format/utf8.h"

namespace precis {
namespace {

constexpr int kMaxDepth = 100;

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_utf8(std::string& out, uint32_t code) {
  const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0 | code >> 6);
    put(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    put(0xe0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  } else {
    put(0xf0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3f));
    put(0x80 | (code >> 6 & 0x3f));
    put(0x80 | (code & 0x3f));
  }
}

}  // namespace

void JsonScanner::skip_space() {
  while (position_ < text_.size() && is_space(text_[position_])) ++position_;
}

char JsonScanner::peek() {
  skip_space();
  return position_ < text_.size() ? text_[position_] : '\0';
}

bool JsonScanner::take(char c) {
  skip_space();
  if (position_ >= text_.size() || text_[position_] != c) return false;
  ++position_;
  return true;
}

bool JsonScanner::expect(char c) {
  return take(c) || fail(fmt::format("expected '{}'", c));
}

bool JsonScanner::expect_end() {
  skip_space();
  return position_ == text_.size() || fail("more text after its end");
}

bool JsonScanner::fail(std::string_view what) {
  if (problem_.empty()) problem_ = fmt::format("{} at byte {}", what, position_);
  return false;
}

bool JsonScanner::string(std::string& out) {
  out.clear();
  if (!expect('"')) return false;
  while (true) {
    std::size_t end = position_;
    while (end < text_.size() && text_[end] != '"' && text_[end] != '\\' &&
           static_cast<unsigned char>(text_[end]) >= 0x20) {
      ++end;
    }
    out.append(text_, position_, end - position_);
    position_ = end;
    if (position_ == text_.size()) return fail("a string without its end");
    const char c = text_[position_];
    if (c != '"' && c != '\\') return fail("a control character in a string");
    ++position_;
    if (c == '"') return true;
    if (!escape(out)) return false;
  }
}

bool JsonScanner::escape(std::string& out) {
  if (position_ == text_.size()) return fail("a string without its end");
  const char c = text_[position_++];
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out += c;
      return true;
    case 'b':
      out += '\b';
      return true;
    case 'f':
      out += '\f';
      return true;
    case 'n':
      out += '\n';
      return true;
    case 'r':
      out += '\r';
      return true;
    case 't':
      out += '\t';
      return true;
    case 'u':
      break;
    default:
      return fail("an unknown escape in a string");
  }
  uint32_t code = 0;
  if (!hex4(code)) return false;
  if (code >= 0xd800 && code <= 0xdbff) {
    uint32_t low = 0;
    const bool follows = text_.substr(position_, 2) == "\\u";
    if (follows) position_ += 2;
    if (!follows || !hex4(low) || low < 0xdc00 || low > 0xdfff)
      return fail("half a surrogate pair");
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  } else if (code >= 0xdc00 && code <= 0xdfff) {
    return fail("half a surrogate pair");
  }
  append_utf8(out, code);
  return true;
}

bool JsonScanner::hex4(uint32_t& out) {
  if (text_.size() - position_ < 4) return fail("a string without its end");
  out = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = text_[position_++];
    const char lower = static_cast<char>(c | 0x20);
    if (is_digit(c)) {
      out = out << 4 | static_cast<uint32_t>(c - '0');
    } else if (lower >= 'a' && lower <= 'f') {
      out = out << 4 | static_cast<uint32_t>(lower - 'a' + 10);
    } else {
      return fail("an escape without four hexadecimal digits");
    }
  }
  return true;
}

bool JsonScanner::unsigned_number(uint64_t& out) {
  skip_space();
  const std::size_t begin = position_;
  out = 0;
  for (; position_ < text_.size() && is_digit(text_[position_]); ++position_) {
    const auto digit = static_cast<uint64_t>(text_[position_] - '0');
    if (__builtin_mul_overflow(out, uint64_t{10}, &out) ||
        __builtin_add_overflow(out, digit, &out)) {
      return fail("a number that is too large");
    }
  }
  if (position_ == begin) return fail("expected a number that is not negative");
  if (text_[begin] == '0' && position_ - begin > 1) return fail("a number that begins with 0");
  const char next = position_ < text_.size() ? text_[position_] : '\0';
  if (next == '.' || next == 'e' || next == 'E') return fail("expected a whole number");
  return true;
}

bool JsonScanner::skip_number() {
  const auto digits = [&] {
    const std::size_t begin = position_;
    while (position_ < text_.size() && is_digit(text_[position_])) ++position_;
    return position_ - begin;
  };
  const auto next = [&] { return position_ < text_.size() ? text_[position_] : '\0'; };
  const std::size_t begin = position_;
  if (next() == '-') ++position_;
  const bool zero = next() == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return fail("not a number");
  if (next() == '.') {
    ++position_;
    if (digits() == 0) return fail("not a number");
  }
  if (next() == 'e' || next() == 'E') {
    ++position_;
    if (next() == '+' || next() == '-') ++position_;
    if (digits() == 0) return fail("not a number");
  }
  const std::string number(text_.substr(begin, position_ - begin));
  return std::isfinite(std::strtod(number.c_str(), nullptr)) ||
         fail("a number that is out of range");
}

bool JsonScanner::skip_word(std::string_view word) {
  if (text_.substr(position_, word.size()) != word) return fail("expected a value");
  position_ += word.size();
  return true;
}

bool JsonScanner::skip_value(int depth, bool unique_keys) {
  std::string ignored;
  switch (peek()) {
    case '"':
      return string(ignored);
    case '{':
      return skip_object(depth, unique_keys);
    case '[':
      return skip_array(depth, unique_keys);
    case 't':
      return skip_word("true");
    case 'f':
      return skip_word("false");
    case 'n':
      return skip_word("null");
    case '-':
      return skip_number();
    default:
      return is_digit(peek()) ? skip_number() : fail("expected a value");
  }
}

bool JsonScanner::skip_array(int depth, bool unique_keys) {
  if (depth == 0) return fail("too many levels of nesting");
  if (!expect('[')) return false;
  if (take(']')) return true;
  do {
    if (!skip_value(depth - 1, unique_keys)) return false;
  } while (take(','));
  return expect(']');
}

bool JsonScanner::skip_object(int depth, bool unique_keys) {
  if (depth == 0) return fail("too many levels of nesting");
  if (!expect('{')) return false;
  if (take('}')) return true;
  std::unordered_set<std::string> keys;
  std::string key;
  do {
    if (!string(key)) return false;
    if (unique_keys && !keys.insert(key).second)
      return fail(fmt::format("the key '{}' a second time", key));
    if (!expect(':') || !skip_value(depth - 1, unique_keys)) return false;
  } while (take(','));
  return expect('}');
}

Result<nlohmann::json> parse_json(std::string_view text, DuplicateKeys duplicates) {
  const auto bad = [](std::string_view what) {
    return Error(ErrorCode::data_loss, fmt::format("is not JSON: {}", what),
                 "the file is damaged or was edited by hand: fetch or write it again");
  };
  if (!is_utf8(text)) return bad("the text is not UTF-8");
  JsonScanner scanner(text);
  if (!scanner.skip_value(kMaxDepth, duplicates == DuplicateKeys::refuse) ||
      !scanner.expect_end()) {
    return bad(scanner.problem());
  }
  nlohmann::json document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) return bad("the parser refuses it");
  return document;
}

std::vector<std::string> object_keys(std::string_view text) {
  std::vector<std::string> keys;
  JsonScanner scanner(text);
  std::string key;
  if (!scanner.take('{') || scanner.take('}')) return keys;
  do {
    if (!scanner.string(key) || !scanner.expect(':') || !scanner.skip_value(kMaxDepth, false))
      break;
    keys.push_back(key);
  } while (scanner.take(','));
  return keys;
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kShort = "\b\f\n\r\t", kLetters = "bfnrt";
  out += '"';
  for (const char c : text) {
    const std::size_t found = kShort.find(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (found != std::string_view::npos) {
      out += '\\';
      out += kLetters[found];
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_new_key(nlohmann::ordered_json& object, std::string key, nlohmann::ordered_json value) {
  // ordered_json keeps an object as a vector of pairs.
  object.get_ref<nlohmann::ordered_json::object_t&>().emplace_back(std::move(key),
                                                                   std::move(value));
}

}  // namespace precis
