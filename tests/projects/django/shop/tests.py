from django.test import SimpleTestCase

from .models import Order


class OrderTest(SimpleTestCase):
    def test_a_new_order_waits(self):
        self.assertFalse(Order(item="tea").shipped)
