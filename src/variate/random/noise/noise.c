/* The native sampler: counter-based noise, made and applied in one pass over memory.
 *
 * Element i of tensor `uid` under `key` is a pure function of (key, uid, i): the words come from Threefry-2x32 with 13
 * rounds (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), its counter is the index of
 * a pair of elements. `threefry.py` makes the same integers in torch; floats agree up to rounding.
 *
 * Elements come in blocks of 32: lane j of a block takes the pair (word a, word b) and makes the elements j and 16 + j.
 *
 * The build compiles this file once for each vector width (LANES of 32 bits, see hatch_build.py), each with its own
 * name for `work`, and once with VARIATE_ENTRY for `variate_sample`, which chooses among them. Nothing here depends on
 * torch: tensors are pointers. Threads come from the caller's OpenMP runtime, if it passes its GOMP_parallel.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum op { NOISE, DRAW, GRADIENT };
enum kind { NORMAL, UNIFORM, LAPLACE, LOGISTIC, UNIT, BITS };

/* Every array has one entry per tensor. Pointers are passed as 64-bit integers. */
struct job {
    int64_t op, sites, chunks, key;
    int64_t chunk;                     /* elements that a thread takes at a time: a multiple of BLOCK */
    const int64_t *uid, *kind, *count; /* number of the tensor, kind of noise, number of elements */
    const int64_t *first;              /* index of its first chunk of work */
    const int64_t *mean, *scale, *out; /* DRAW: out = mean + s * z; GRADIENT: out = mean * z * s'; NOISE: out = z */
    const int64_t *positive;           /* 1: s = softplus(scale); 0: s = scale, and s' = 1 */
    const int64_t *inner, *groups;     /* element i has scale[i / inner % groups]; inner 0: scale[i] */
    int64_t next;                      /* the next chunk that no thread has taken; initially 0 */
};

enum { BLOCK = 32, HALF = 16 }; /* elements */

#ifdef VARIATE_ENTRY

typedef void parallel_fn(void (*)(void *), void *, unsigned, unsigned);

void work_4(void *), work_8(void *), work_16(void *);

/* Lanes of the widest vector register that this build and this processor have. */
int variate_lanes(void) {
#if defined(VARIATE_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq"))
        return 16;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return 8;
#endif
    return 4;
}

/* Run a whole job on `threads` threads of the OpenMP runtime that owns GOMP_parallel, or on this thread alone. */
void variate_sample(struct job *job, int lanes, parallel_fn *parallel, unsigned threads) {
    void (*work)(void *) = work_4;
#if defined(VARIATE_X86)
    work = lanes == 16 ? work_16 : lanes == 8 ? work_8 : work_4;
#else
    (void)lanes;
#endif
    job->next = 0;
    if (parallel && threads > 1 && job->chunks > 1)
        parallel(work, job, threads, 0);
    else
        work(job);
}

#else /* the worker, for one vector width */

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#ifndef GROUPS
#define GROUPS 4
#endif
#define STRETCH (2 * GROUPS * LANES > BLOCK ? 2 * GROUPS * LANES : BLOCK) /* elements made at a time */

#define INLINE static inline __attribute__((always_inline))
#define GLUE(a, b) a##b
#define NAMED(a, b) GLUE(a, b)

typedef uint32_t U __attribute__((vector_size(4 * LANES)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));
typedef float F __attribute__((vector_size(4 * LANES)));
typedef float FU __attribute__((vector_size(4 * LANES), aligned(4))); /* at any address */

#define TO_FLOAT(i) __builtin_convertvector((I)(i), F)
#define TO_INT(f) __builtin_convertvector(f, I)
#define ALL(x) ((F){0} + (x))

/* Instructions that compilers miss. AT_LEAST(a, x) is the larger of a and x, and NaN if x is NaN. */
#if defined(__AVX512F__) && LANES == 16
#define ROTATE(x, r) ((U)_mm512_rol_epi32((__m512i)(x), r))
#define AT_LEAST(a, x) ((F)_mm512_max_ps((__m512)ALL(a), (__m512)(x)))
#elif defined(__AVX2__) && LANES == 8
#define AT_LEAST(a, x) ((F)_mm256_max_ps((__m256)ALL(a), (__m256)(x)))
#elif defined(__SSE2__) && LANES == 4
#define AT_LEAST(a, x) ((F)_mm_max_ps((__m128)ALL(a), (__m128)(x)))
#endif
#ifndef ROTATE
#define ROTATE(x, r) (x << r | x >> (32 - r))
#endif
#ifndef AT_LEAST
#define AT_LEAST(a, x) choose(x < a, ALL(a), x)
#endif

/* Every operation runs on GROUPS vectors in turn: a single vector would stall on its own results. */
#define EACH _Pragma("GCC unroll 8") for (int g = 0; g < GROUPS; g++)

INLINE F choose(I mask, F yes, F no) { return (F)((mask & (I)yes) | (~mask & (I)no)); }

INLINE void square_root(F *x) {
    EACH for (int j = 0; j < LANES; j++) x[g][j] = sqrtf(x[g][j]);
}

/* Mix 64 bits (SplitMix64: Steele, Lea & Flood 2014). */
INLINE uint64_t mix(uint64_t z) {
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

struct words { uint32_t k0, k1, c1; }; /* Threefry's key, and the upper word of its counter */

INLINE struct words words_of(uint64_t key, uint64_t uid) {
    uint64_t first = mix(mix(key) + uid);
    uint64_t second = mix((first ^ 0x9E3779B97F4A7C15u) + key);
    return (struct words){(uint32_t)first, (uint32_t)(first >> 32), (uint32_t)second};
}

INLINE void mix_round(U *a, U *b, int by) {
    EACH a[g] += b[g];
    EACH b[g] = ROTATE(b[g], by);
    EACH b[g] ^= a[g];
}

INLINE void inject(U *a, U *b, uint32_t key_a, uint32_t key_b) {
    EACH a[g] += key_a;
    EACH b[g] += key_b;
}

/* Two words for each of GROUPS * LANES pairs: those of lane j of group g belong to pair first[g] + j. */
INLINE void threefry(struct words w, const uint32_t *first, U *a, U *b) {
    uint32_t k0 = w.k0, k1 = w.k1, k2 = 0x1BD11BDAu ^ k0 ^ k1;
    U lane;
    for (int j = 0; j < LANES; j++) lane[j] = j;
    EACH a[g] = lane + (first[g] + k0);
    EACH b[g] = (U){0} + (w.c1 + k1);
    mix_round(a, b, 13), mix_round(a, b, 15), mix_round(a, b, 26), mix_round(a, b, 6), inject(a, b, k1, k2 + 1);
    mix_round(a, b, 17), mix_round(a, b, 29), mix_round(a, b, 16), mix_round(a, b, 24), inject(a, b, k2, k0 + 2);
    mix_round(a, b, 13), mix_round(a, b, 15), mix_round(a, b, 26), mix_round(a, b, 6), inject(a, b, k0, k1 + 3);
    mix_round(a, b, 17);
}

/* p * x + c, in place */
INLINE void step(F *p, const F *x, float c) { EACH p[g] = p[g] * x[g] + c; }

/* From floats n in [1, 2^31] to -2 ln(n / 2^31); the polynomial is minimax, relative error 3e-8. */
INLINE void minus_two_log(F *n) {
    F e[GROUPS], m[GROUPS], p[GROUPS];
    EACH {
        U shifted = (U)n[g] - 0x3F3504F3u; /* sqrt(1/2) */
        e[g] = TO_FLOAT(((I)shifted >> 23) - 31);
        m[g] = (F)((shifted & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
        p[g] = -1.7444486916e-1f * m[g] + 2.8733575344e-1f;
    }
    step(p, m, -2.9904565215e-1f), step(p, m, 3.3124804497e-1f), step(p, m, -3.9913666248e-1f);
    step(p, m, 5.0004148483e-1f), step(p, m, -6.6668373346e-1f), step(p, m, 9.9999976158e-1f), step(p, m, -2.0f);
    EACH n[g] = p[g] * m[g] + e[g] * -1.3862943611f;
}

/* The cosine and the sine of word * 2 pi / 2^32, with the word read as signed; absolute error 1e-7. */
INLINE void cos_sin(const U *word, F *cosine, F *sine) {
    U quarter[GROUPS];
    F r[GROUPS], z[GROUPS], s[GROUPS], c[GROUPS];
    EACH quarter[g] = (word[g] + 0x20000000u) >> 30;
    EACH r[g] = TO_FLOAT(word[g] - (quarter[g] << 30)) * 1.46291807926716e-9f;
    EACH z[g] = r[g] * r[g];
    EACH s[g] = -1.9504022204e-4f * z[g] + 8.3320364356e-3f;
    EACH c[g] = -1.3585909037e-3f * z[g] + 4.1655026376e-2f;
    step(s, z, -1.6666650772e-1f), step(c, z, -4.9999856949e-1f), step(c, z, 1.0f);
    EACH s[g] = s[g] * z[g] * r[g] + r[g];
    EACH {
        I odd = (I)((quarter[g] & 1u) != 0u);
        sine[g] = (F)((U)choose(odd, c[g], s[g]) ^ (quarter[g] & 2u) << 30);
        cosine[g] = (F)((U)choose(odd, s[g], c[g]) ^ ((quarter[g] + 1u) & 2u) << 30);
    }
}

/* From x to exp(-|x|), relative error 1e-7. */
INLINE void exp_minus_abs(F *x) {
    F n[GROUPS], r[GROUPS], p[GROUPS];
    EACH x[g] = AT_LEAST(-87.0f, (F)((U)x[g] | 0x80000000u));
    EACH n[g] = (x[g] * 1.44269504f + 12582912.0f) - 12582912.0f; /* to the nearest integer */
    EACH r[g] = x[g] - n[g] * 0.693359375f + n[g] * 2.12194440e-4f;
    EACH p[g] = 8.2976520061e-3f * r[g] + 4.1915383190e-2f;
    step(p, r, 1.6667574644e-1f), step(p, r, 4.9998894334e-1f), step(p, r, 9.9999970198e-1f), step(p, r, 1.0000001192f);
    EACH x[g] = p[g] * (F)((TO_INT(n[g]) + 127) << 23);
}

/* From x to ln(1 + exp(x)), relative error 3e-7. */
INLINE void softplus(F *x) {
    F e[GROUPS], p[GROUPS];
    EACH e[g] = x[g];
    exp_minus_abs(e);
    EACH p[g] = 5.2326242439e-3f * e[g] - 2.9504956678e-2f;
    step(p, e, 7.8225493431e-2f), step(p, e, -1.3663206995e-1f), step(p, e, 1.9105988741e-1f);
    step(p, e, -2.4842977524e-1f), step(p, e, 3.3319094777e-1f), step(p, e, -4.9999493361e-1f), step(p, e, 9.9999994040e-1f);
    EACH x[g] = AT_LEAST(0.0f, x[g]) + p[g] * e[g];
}

INLINE void sigmoid(F *x) {
    F e[GROUPS];
    EACH e[g] = x[g];
    exp_minus_abs(e);
    EACH x[g] = choose(x[g] > 0.0f, ALL(1.0f), e[g]) / (1.0f + e[g]);
}

INLINE F odd31(U word) { return TO_FLOAT(word >> 1 | 1u); } /* 1, 3, ..., 2^31 - 1: times 2^-31 uniform in (0, 1] */

/* Turn each word into noise of unit variance (UNIT: uniform in (0, 1); BITS: the word itself). */
INLINE void transform(int64_t kind, const U *word, F *z) {
    F rest[GROUPS];
    switch (kind) {
    case UNIFORM:
        EACH z[g] = TO_FLOAT(word[g] | 1u) * 8.0654887e-10f; /* sqrt(3) / 2^31 */
        break;
    case LAPLACE:
        EACH z[g] = TO_FLOAT((word[g] & 0x7FFFFFFFu) | 1u);
        minus_two_log(z);
        EACH z[g] = (F)((U)(z[g] * 3.5355339e-1f) ^ (word[g] & 0x80000000u)); /* 1 / sqrt(8) */
        break;
    case LOGISTIC: /* ln u - ln(1 - u), times sqrt(3) / pi */
        EACH z[g] = odd31(word[g]);
        EACH rest[g] = TO_FLOAT(0x80000000u - (word[g] >> 1 | 1u));
        minus_two_log(z), minus_two_log(rest);
        EACH z[g] = (rest[g] - z[g]) * 2.7566445e-1f;
        break;
    case BITS:
        EACH z[g] = (F)word[g];
        break;
    default:
        EACH z[g] = TO_FLOAT(word[g] >> 8 | 1u) * 5.9604644775e-8f; /* odd numbers / 2^24 */
    }
}

/* Fill a stretch: lane j of group g makes the elements at[g] + j and at[g] + j + HALF, from pair first[g] + j. */
INLINE void stretch_noise(int64_t kind, struct words w, int64_t element, float *z) {
    for (int start = 0; start < STRETCH / 2; start += GROUPS * LANES) {
        uint32_t first[GROUPS];
        int at[GROUPS];
        U a[GROUPS], b[GROUPS];
        F za[GROUPS], zb[GROUPS];
        EACH first[g] = (uint32_t)(element / 2) + (uint32_t)(start + g * LANES);
        EACH at[g] = (start + g * LANES) / HALF * BLOCK + (start + g * LANES) % HALF;
        threefry(w, first, a, b);
        if (kind == NORMAL) { /* Box & Muller 1958 */
            F radius[GROUPS];
            EACH radius[g] = odd31(a[g]);
            minus_two_log(radius);
            square_root(radius);
            cos_sin(b, za, zb);
            EACH za[g] *= radius[g];
            EACH zb[g] *= radius[g];
        } else {
            transform(kind, a, za), transform(kind, b, zb);
        }
        EACH *(FU *)(z + at[g]) = za[g];
        EACH *(FU *)(z + at[g] + HALF) = zb[g];
    }
}

/* Apply noise to one stretch; `scale` has one entry per element. */
INLINE void apply(int64_t op, int64_t positive, const float *mean, const float *scale, const float *z, float *out) {
    for (int j = 0; j < STRETCH; j += GROUPS * LANES) {
        F noise[GROUPS], value[GROUPS], s[GROUPS];
        EACH noise[g] = *(const FU *)(z + j + g * LANES);
        EACH value[g] = *(const FU *)(mean + j + g * LANES);
        EACH s[g] = *(const FU *)(scale + j + g * LANES);
        if (op == DRAW) {
            if (positive) softplus(s);
            EACH value[g] += s[g] * noise[g];
        } else {
            if (positive) sigmoid(s);
            EACH value[g] *= positive ? s[g] * noise[g] : noise[g];
        }
        EACH *(FU *)(out + j + g * LANES) = value[g];
    }
}

struct tensor { int64_t uid, kind, positive, inner, groups; const float *mean, *scale; float *out; };

/* The elements from `start` to `end` of one tensor; `op`, `kind`, `positive` are compile-time constants where it pays. */
INLINE void run(int64_t op, struct tensor t, int64_t kind, int64_t positive, uint64_t key, int64_t start, int64_t end) {
    struct words w = words_of(key, (uint64_t)t.uid);
    float z[STRETCH], scale[STRETCH], mean[STRETCH], out[STRETCH];
    for (int64_t i = start; i < end; i += STRETCH) {
        int64_t n = end - i < STRETCH ? end - i : STRETCH;
        stretch_noise(kind, w, i, z);
        if (op == NOISE) {
            memcpy(t.out + i, z, (size_t)n * sizeof(float));
        } else if (n == STRETCH && t.inner == 0) {
            apply(op, positive, t.mean + i, t.scale + i, z, t.out + i);
        } else { /* the last stretch, or a scale that elements share */
            for (int64_t j = 0; j < n; j++) scale[j] = t.scale[t.inner ? (i + j) / t.inner % t.groups : i + j];
            for (int64_t j = n; j < STRETCH; j++) scale[j] = mean[j] = 0;
            memcpy(mean, t.mean + i, (size_t)n * sizeof(float));
            apply(op, positive, mean, scale, z, out);
            memcpy(t.out + i, out, (size_t)n * sizeof(float));
        }
    }
}

void NAMED(work_, LANES)(void *argument) {
    struct job *job = argument;
    int64_t site = 0;
    for (;;) {
        int64_t chunk = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (chunk >= job->chunks) return;
        while (site + 1 < job->sites && job->first[site + 1] <= chunk) site++;
        int64_t start = (chunk - job->first[site]) * job->chunk, end = start + job->chunk;
        if (end > job->count[site]) end = job->count[site];
        struct tensor t = {job->uid[site], job->kind[site], job->positive[site], job->inner[site], job->groups[site],
                           (const float *)job->mean[site], (const float *)job->scale[site], (float *)job->out[site]};
        uint64_t key = (uint64_t)job->key;
        if (t.kind == NORMAL && job->op == DRAW && t.positive)
            run(DRAW, t, NORMAL, 1, key, start, end);
        else if (t.kind == NORMAL && job->op == DRAW)
            run(DRAW, t, NORMAL, 0, key, start, end);
        else if (t.kind == NORMAL && job->op == GRADIENT && t.positive)
            run(GRADIENT, t, NORMAL, 1, key, start, end);
        else
            run(job->op, t, t.kind, t.positive, key, start, end);
    }
}

#endif
