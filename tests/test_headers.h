// GoogleTest, precompiled once for all test programs. Sources include what they use all the same.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
