/* The native sampler: noise as a counter, made and applied in one pass over memory.
 *
 * Element i of tensor `uid` under `key` is a pure function of (key, uid, i): the words come from Threefry-2x32 with 13
 * rounds (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3"), its counter is the number of
 * a pair of elements. `threefry.py` makes the same integers in torch; floats agree up to rounding.
 *
 * Elements go in blocks of 32: lane j of a block takes the pair (word a, word b) and makes the elements j and 16 + j.
 *
 * The build compiles this file once for each width of vector register (LANES of 32 bits, see hatch_build.py) with a
 * name of its own for `work`, and once with VARIATE_ENTRY for `variate_sample`, which chooses among them. Nothing here
 * knows torch: tensors are pointers. Threads come from the caller's OpenMP runtime, if it passes its GOMP_parallel.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum op { NOISE, DRAW, GRADIENT };
enum kind { NORMAL, UNIFORM, LAPLACE, LOGISTIC, UNIT, BITS };

/* One tensor an entry in every array. Pointers travel as 64-bit integers. */
struct job {
    int64_t op, sites, chunks, key;
    const int64_t *uid, *kind, *count; /* the tensor's number, its noise, its elements */
    const int64_t *first;              /* the number of its first chunk of work */
    const int64_t *mean, *scale, *out; /* DRAW: out = mean + s * z; GRADIENT: out = mean * z * s'; NOISE: out = z */
    const int64_t *positive;           /* 1: s = softplus(scale); 0: s = scale, and s' = 1 */
    const int64_t *inner, *groups;     /* element i has scale[i / inner % groups]; inner 0: scale[i] */
    int64_t next;                      /* the next chunk that no thread has taken yet: 0 at the start */
};

enum { BLOCK = 32, CHUNK = 1 << 14 };

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

/* Do a whole job on `threads` threads of the OpenMP runtime whose GOMP_parallel is given, or on this thread alone. */
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

#else /* the worker, for one width */

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

INLINE F choose(I mask, F yes, F no) { return (F)((mask & (I)yes) | (~mask & (I)no)); }

INLINE F square_root(F x) {
    F y;
    for (int j = 0; j < LANES; j++) y[j] = sqrtf(x[j]);
    return y;
}

/* 64 bits to 64 bits (SplitMix64: Steele, Lea & Flood 2014). */
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

#define ROUND(r) x0 += x1, x1 = x1 << r | x1 >> (32 - r), x1 ^= x0
#define INJECT(a, b, n) x0 += a, x1 += b + n

INLINE void threefry(struct words w, uint32_t pair, U *a, U *b) {
    uint32_t k0 = w.k0, k1 = w.k1, k2 = 0x1BD11BDAu ^ k0 ^ k1;
    U lane;
    for (int j = 0; j < LANES; j++) lane[j] = j;
    U x0 = lane + (pair + k0), x1 = (U){0} + (w.c1 + k1);
    ROUND(13), ROUND(15), ROUND(26), ROUND(6), INJECT(k1, k2, 1);
    ROUND(17), ROUND(29), ROUND(16), ROUND(24), INJECT(k2, k0, 2);
    ROUND(13), ROUND(15), ROUND(26), ROUND(6), INJECT(k0, k1, 3);
    ROUND(17);
    *a = x0, *b = x1;
}

/* -2 ln(n / 2^31) for a float n in [1, 2^31]; the polynomial is minimax, relative error 3e-8. */
INLINE F minus_two_log(F n) {
    U shifted = (U)n - 0x3F3504F3u; /* sqrt(1/2) */
    F e = TO_FLOAT(((I)shifted >> 23) - 31);
    F m = (F)((shifted & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    F p = -1.7444486916e-1f * m + 2.8733575344e-1f;
    p = p * m - 2.9904565215e-1f, p = p * m + 3.3124804497e-1f, p = p * m - 3.9913666248e-1f;
    p = p * m + 5.0004148483e-1f, p = p * m - 6.6668373346e-1f, p = p * m + 9.9999976158e-1f, p = p * m - 2.0f;
    return p * m + e * -1.3862943611f;
}

/* The cosine and the sine of word * 2 pi / 2^32, the word read as signed; absolute error 1e-7. */
INLINE void cos_sin(U word, F *cosine, F *sine) {
    U quarter = (word + 0x20000000u) >> 30;
    F r = TO_FLOAT(word - (quarter << 30)) * 1.46291807926716e-9f, z = r * r;
    F s = ((-1.9504022204e-4f * z + 8.3320364356e-3f) * z - 1.6666650772e-1f) * z * r + r;
    F c = ((-1.3585909037e-3f * z + 4.1655026376e-2f) * z - 4.9999856949e-1f) * z + 1.0f;
    I odd = (I)((quarter & 1u) != 0u);
    *sine = (F)((U)choose(odd, c, s) ^ (quarter & 2u) << 30);
    *cosine = (F)((U)choose(odd, s, c) ^ ((quarter + 1u) & 2u) << 30);
}

/* exp(-|x|), relative error 1e-7. */
INLINE F exp_minus_abs(F x) {
    F a = (F)((U)x | 0x80000000u);
    a = choose(a < -87.0f, ALL(-87.0f), a);
    F n = (a * 1.44269504f + 12582912.0f) - 12582912.0f; /* to the nearest whole number */
    F r = a - n * 0.693359375f + n * 2.12194440e-4f;
    F p = 8.2976520061e-3f * r + 4.1915383190e-2f;
    p = p * r + 1.6667574644e-1f, p = p * r + 4.9998894334e-1f, p = p * r + 9.9999970198e-1f, p = p * r + 1.0000001192f;
    return p * (F)((TO_INT(n) + 127) << 23);
}

/* ln(1 + exp(x)), relative error 3e-7. */
INLINE F softplus(F x) {
    F e = exp_minus_abs(x);
    F p = 5.2326242439e-3f * e - 2.9504956678e-2f;
    p = p * e + 7.8225493431e-2f, p = p * e - 1.3663206995e-1f, p = p * e + 1.9105988741e-1f;
    p = p * e - 2.4842977524e-1f, p = p * e + 3.3319094777e-1f, p = p * e - 4.9999493361e-1f, p = p * e + 9.9999994040e-1f;
    return choose(x > 0.0f, x, ALL(0.0f)) + p * e;
}

INLINE F sigmoid(F x) {
    F e = exp_minus_abs(x);
    return choose(x > 0.0f, ALL(1.0f), e) / (1.0f + e);
}

INLINE F odd31(U word) { return TO_FLOAT(word >> 1 | 1u); } /* 1, 3, ..., 2^31 - 1: times 2^-31 uniform in (0, 1] */

/* One word to one element of noise of unit variance (UNIT: uniform in (0, 1); BITS: the word itself). */
INLINE F transform(int64_t kind, U word) {
    switch (kind) {
    case UNIFORM: return TO_FLOAT(word | 1u) * 8.0654887e-10f; /* sqrt(3) / 2^31 */
    case LAPLACE: {
        F size = minus_two_log(TO_FLOAT((word & 0x7FFFFFFFu) | 1u)) * 3.5355339e-1f; /* 1 / sqrt(8) */
        return (F)((U)size ^ (word & 0x80000000u));
    }
    case LOGISTIC: /* ln u - ln(1 - u), times sqrt(3) / pi */
        return (minus_two_log(TO_FLOAT(0x80000000u - (word >> 1 | 1u))) - minus_two_log(odd31(word))) * 2.7566445e-1f;
    case BITS: return (F)word;
    default: return TO_FLOAT(word >> 8 | 1u) * 5.9604644775e-8f; /* odd numbers / 2^24 */
    }
}

/* The noise of the block that starts at `element`. */
INLINE void block_noise(int64_t kind, struct words w, int64_t element, float *z) {
    for (int j = 0; j < BLOCK / 2; j += LANES) {
        U a, b;
        F one, two;
        threefry(w, (uint32_t)(element / 2 + j), &a, &b);
        if (kind == NORMAL) { /* Box & Muller 1958 */
            F radius = square_root(minus_two_log(odd31(a)));
            cos_sin(b, &one, &two);
            one *= radius, two *= radius;
        } else {
            one = transform(kind, a), two = transform(kind, b);
        }
        *(FU *)(z + j) = one;
        *(FU *)(z + j + BLOCK / 2) = two;
    }
}

/* One block: `scale` holds its own element's entry. */
INLINE void apply(int64_t op, int64_t positive, const float *mean, const float *scale, const float *z, float *out) {
    for (int j = 0; j < BLOCK; j += LANES) {
        F noise = *(const FU *)(z + j), value = *(const FU *)(mean + j), s = *(const FU *)(scale + j);
        if (op == DRAW)
            value += (positive ? softplus(s) : s) * noise;
        else
            value *= positive ? sigmoid(s) * noise : noise;
        *(FU *)(out + j) = value;
    }
}

struct tensor { int64_t uid, kind, positive, inner, groups; const float *mean, *scale; float *out; };

/* The elements from `start` to `end` of one tensor; the constants are known at compile time where it pays. */
INLINE void run(int64_t op, struct tensor t, int64_t kind, int64_t positive, uint64_t key, int64_t start, int64_t end) {
    struct words w = words_of(key, (uint64_t)t.uid);
    float z[BLOCK], scale[BLOCK], mean[BLOCK], out[BLOCK];
    for (int64_t i = start; i < end; i += BLOCK) {
        int64_t n = end - i < BLOCK ? end - i : BLOCK;
        block_noise(kind, w, i, z);
        if (op == NOISE) {
            memcpy(t.out + i, z, (size_t)n * sizeof(float));
        } else if (n == BLOCK && t.inner == 0) {
            apply(op, positive, t.mean + i, t.scale + i, z, t.out + i);
        } else { /* the last block, or a scale that elements share */
            for (int64_t j = 0; j < n; j++) scale[j] = t.scale[t.inner ? (i + j) / t.inner % t.groups : i + j];
            for (int64_t j = n; j < BLOCK; j++) scale[j] = mean[j] = 0;
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
        int64_t start = (chunk - job->first[site]) * CHUNK, end = start + CHUNK;
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
