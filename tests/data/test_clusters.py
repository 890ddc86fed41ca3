"""Items that are not independent, by hand."""

from ablate.data.clusters import clusters_of, image_cluster


def test_questions_about_one_image_are_a_cluster():
    a, b = b"a" * 32, b"b" * 32
    assert clusters_of([0, 1, 2], [a, b, a], 1) == [image_cluster(i) for i in (a, b, a)]
    assert image_cluster(a) != image_cluster(b)


def test_groups_that_share_an_image_are_a_cluster_also_through_others():
    # Groups 0 and 2 are about image a, 2 and 5 about c; 3 is alone.
    groups = [0, 0, 2, 2, 3, 3, 5, 5]
    images = [b"a", b"b", b"a", b"c", b"d", b"e", b"c", b"f"]
    names = ["rows 0 to 1"] * 4 + ["rows 6 to 7"] * 2 + ["rows 0 to 1"] * 2
    assert clusters_of(groups, images, 2) == names
    assert clusters_of([], [], 2) == []
