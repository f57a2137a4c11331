#include "../UnrealStubs.h"
