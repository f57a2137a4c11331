#include "UnrealStubs.h"
